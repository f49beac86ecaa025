"""`learned`: what its model tells apart, where it looks, and that a model it cannot trust is an error of the policy."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from tests.guard.learned.toy import folder
from tests.guard.rails.fakes import asked, check, said
from trueline.core.types import Conversation
from trueline.guard.chain import Chain
from trueline.guard.guarded import exchange_of
from trueline.guard.policy import PolicyError, policy_of
from trueline.guard.rails import Learned

BAD, GOOD = "mirkin the grelk of my shed, tulipa a spade", "mirkin, where in the shed did I leave the spade?"


def test_it_blocks_what_it_learned_and_nothing_like_it():
    """Both texts name the tool and the room; only one wants the bad thing."""
    rail = Learned(model=folder())
    assert check(rail, asked(BAD)).action == "block"
    assert check(rail, asked(GOOD)).action == "allow"


def test_the_strictest_piece_speaks_and_is_not_quoted():
    """One bad piece among good ones is enough; the reason has its place and score alone."""
    ruling = check(Learned(model=folder(), action="flag"), asked(GOOD, BAD, GOOD, place="tool_result"))
    assert ruling.action == "flag"
    assert ruling.decision.why.startswith("tool_result: score ")
    assert "grelk" not in ruling.decision.why


def test_it_reads_its_places_alone_and_replies_where_it_is_told_to():
    """The default reads what clients send, but for the operator's own words."""
    assert check(Learned(model=folder()), asked(BAD, place="system")).action == "allow"
    rail = Learned(model=folder(), sides=("output",), places=("assistant",))
    assert check(rail, said(BAD), "output").action == "block"


def test_a_threshold_of_the_policy_takes_the_place_of_the_models():
    """Higher finds less, lower finds more."""
    assert check(Learned(model=folder(), threshold=1_000.0), asked(BAD)).action == "allow"
    assert check(Learned(model=folder(), threshold=-1_000.0), asked(GOOD)).action == "block"


def test_dressed_letters_are_read_in_a_chain():
    """The model reads the folded view, so full-width letters and invisible ones change nothing."""
    chain = Chain(policy=policy_of({"rails": [{"type": "learned", "model": folder()}]}))
    dressed = "".join(chr(ord(c) + 0xFEE0) + "\u200b" if c.isalpha() else c for c in BAD)
    outcomes = [
        asyncio.run(chain.judge(exchange_of(Conversation().say("user", text)), "input")) for text in (BAD, dressed, GOOD)
    ]
    assert [outcome.ruling.action for outcome in outcomes] == ["block", "block", "allow"]
    assert outcomes[0].ruling.decision.why == outcomes[1].ruling.decision.why


@pytest.mark.parametrize("setting", [{}, {"model": "/nowhere/at/all"}, {"action": "redact"}, {"threshold": float("nan")}])
def test_a_rail_without_a_sound_model_is_refused(setting):
    """A learned rail that could not score is an error when the policy is read, and names the setting."""
    wrong = next(iter(setting), "model")
    with pytest.raises(PolicyError, match=wrong):
        policy_of({"rails": [{"type": "learned", **({"model": folder()} if setting and wrong != "model" else {}), **setting}]})


def test_a_model_that_was_changed_is_refused(tmp_path):
    """Another constant than the one that it was saved with."""
    shutil.copytree(folder(), tmp_path / "m")
    path = Path(tmp_path / "m" / "rail.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "bias": -9.0}))
    with pytest.raises(PolicyError, match="train it again"):
        policy_of({"rails": [{"type": "learned", "model": str(tmp_path / "m")}]})
