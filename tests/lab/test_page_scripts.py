"""The page's scripts are those of the installed package, and run by their hashes alone.

pytest tests/lab/test_page_scripts.py
"""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from markupsafe import Markup

from trueline.lab import page_scripts
from trueline.lab.page_scripts import LOADER, policy, scripts


def test_the_policy_names_each_script_and_lets_nothing_else_run():
    """A browser hashes what stands between the tags; no unsafe word, no host."""
    found = scripts()
    for script in found.inline:
        assert b64encode(hashlib.sha256(str(script).encode()).digest()).decode() in found.policy
    scripted = found.policy.split("script-src")[1].split(";")[0]
    assert "unsafe" not in scripted
    assert "http" not in found.policy
    assert found.policy.startswith("default-src 'none'")
    assert "vegaEmbed" in found.inline[0]
    assert len(found.inline[0]) < 1_500_000


def test_expressions_are_interpreted():
    """Vega's own way is to compile them, for which a policy would need unsafe-eval."""
    assert "ast: true" in LOADER
    assert policy("a") != policy("b")


@pytest.mark.parametrize("bad", ["a</SCRIPT>", "a<!--", "a\rb"])
def test_a_script_that_would_end_early_is_refused(bad):
    """What a browser would read as the end of the element, or change before it hashes, is not let in."""
    with pytest.raises(ValueError, match="inside a page"):
        page_scripts._inline(bad)
    assert page_scripts._inline("a < b") == Markup("a < b")
