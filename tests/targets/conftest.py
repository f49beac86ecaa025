"""What tests of remote targets share."""

from __future__ import annotations

import pytest

from tests.targets.toy import SECRET


@pytest.fixture
def _every_key(monkeypatch):
    """Every key that is looked for is the secret one."""
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "TRUELINE_API_KEY"):
        monkeypatch.setenv(variable, SECRET)
