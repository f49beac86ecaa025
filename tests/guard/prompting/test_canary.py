"""Canaries: random, one a prompt, and found again."""

from __future__ import annotations

import json

import pytest

from tests.calling import trueline
from trueline.guard.prompting.canary import BITS, canary_of, new_canary, with_canary


def test_a_canary_is_found_again():
    """What was put in is read out of the prompt, whose own text is kept; no two are alike."""
    token = new_canary()
    text = with_canary("Be kind.\nBe brief.", token)
    assert text.startswith("Be kind.\nBe brief.\n")
    assert canary_of(text) == token
    assert len({new_canary() for _ in range(100)}) == 100
    assert 4 * len(token) == BITS


def test_one_is_enough():
    """A second is refused, and so is a token that a disguise could hide."""
    with pytest.raises(ValueError, match="without a canary"):
        with_canary(with_canary("Be kind.", new_canary()), new_canary())
    with pytest.raises(ValueError, match="hexadecimal"):
        with_canary("Be kind.", "HELLO")
    assert canary_of("The canary is a bird: 0123456789abcdef.") is None


def test_the_command_prints_the_prompt_with_its_canary(tmp_path):
    """Standard output is the prompt to deploy, and the rule that asks for a canary is content with it."""
    (tmp_path / "s.txt").write_text("You are a librarian.", encoding="utf-8")
    done = trueline("prompt", "canary", tmp_path / "s.txt")
    assert done.code == 0
    assert canary_of(done.out)
    told = json.loads(trueline("prompt", "canary", tmp_path / "s.txt", "--json").out)
    assert canary_of(told["text"]) == told["canary"]
    (tmp_path / "t.txt").write_text(done.out, encoding="utf-8")
    assert "canary:" not in trueline("prompt", "lint", tmp_path / "t.txt").out
    assert trueline("prompt", "canary", tmp_path / "t.txt").code == 2
