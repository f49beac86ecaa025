"""Tests of guard/audit/replay.py: a decision is made again bit for bit, or what differs is named."""

import asyncio
from dataclasses import replace

import pytest

from tests.guard.audit.deciding import BASIS, QUIET, Policy, exchange
from trueline.core.types import Tool
from trueline.guard.audit.audit import Audit, Settings
from trueline.guard.audit.digests import Secret, content_of
from trueline.guard.audit.replay import ReplayError, exchange_of, replay
from trueline.guard.exchange import KEY, Piece
from trueline.guard.ruling import broken, fold, shadowed
from trueline.store.opening import open_database

SAID = exchange("a plum \ud800", "another plum")


def recorded(folder, policy: Policy, said=SAID, extra=()):
    """Record what a policy decides of both sides; return the id, the database and the key."""
    audit = Audit.open(folder / "audit", folder / "a.db", Settings(apart=False, every=QUIET))
    asked = replace(said, said=(), calls=())
    before, after = policy.rails(asked, "input"), policy.rails(said, "output")
    id_ = audit.accept(asked, fold([*before, *extra]), [*before, *extra], policy.basis)
    audit.settle(id_, said, fold(after), after, policy.basis)
    asyncio.run(audit.close())
    return id_, open_database(folder / "a.db"), Secret.open(folder / "audit")


def test_the_same_policy_decides_the_same(tmp_path):
    """From retained text and from the original, the decisions of both sides come out in the same bytes."""
    policy = Policy(basis=replace(BASIS, keep_days=1))
    id_, database, secret = recorded(tmp_path, policy)
    for original in (None, SAID):
        found = replay(database, secret, id_, policy, original)
        assert (found.same, found.differences) == (True, ())
        assert b'"action":"redact"' in found.recorded[0]
        assert len(found.again) == 2


def test_another_policy_is_named_beside_what_it_changes(tmp_path):
    """Where the decision differs, both policies are said, then models, software and the fields that differ."""
    id_, database, secret = recorded(tmp_path, Policy(basis=replace(BASIS, keep_days=1)))
    other = replace(BASIS, policy="p2", version="4", models={"tier0": "d2"}, software={"trueline": "2"})
    found = replay(database, secret, id_, Policy(word="pear", basis=other))
    assert not found.same
    assert found.differences[:3] == (
        "policy: recorded under p1 (version 3), replayed under p2 (version 4)",
        "model tier0: recorded with d1, replayed with d2",
        "software trueline: recorded with 1, replayed with 2",
    )
    assert "input action: recorded 'redact', replayed 'allow'" in found.differences
    assert replay(database, secret, id_, Policy(basis=other)).same  # another policy that decides the same


def test_an_edit_that_lands_elsewhere_is_a_difference(tmp_path):
    """Bit for bit means the edits too: the same action with another span is not the same decision."""
    id_, database, secret = recorded(tmp_path, Policy(basis=replace(BASIS, keep_days=1)))
    found = replay(database, secret, id_, Policy(word="plu"))
    assert any(text.startswith("input digest:") for text in found.differences)


def test_a_rail_that_did_not_finish_is_named(tmp_path):
    """A timeout cannot be replayed: it is said, where the decision differs for it."""
    policy = Policy(basis=replace(BASIS, keep_days=1))
    id_, database, secret = recorded(tmp_path, policy, extra=[broken("late", "timeout", "50 ms", "closed")])
    found = replay(database, secret, id_, policy)
    assert "rail late: it did not finish then, which no replay repeats" in found.differences


def test_another_text_is_refused(tmp_path):
    """An original that the digest is not of, a text that was not retained, and an unknown id are errors that say what to do."""
    id_, database, secret = recorded(tmp_path, Policy())
    with pytest.raises(ReplayError, match="expected the input that the record has the digest of"):
        replay(database, secret, id_, Policy(), exchange("a pear", "another plum"))
    with pytest.raises(ReplayError, match="expected the output that"):
        replay(database, secret, id_, Policy(), exchange("a plum \ud800", "another pear"))
    with pytest.raises(ReplayError, match=r"not retained \(the policy keeps it 0 days\); give the original"):
        replay(database, secret, id_, Policy())
    with pytest.raises(ReplayError, match="no such exchange"):
        replay(database, secret, "none", Policy())


def test_an_exchange_is_retained_whole():
    """What is retained reads back equal, with tools, media, keys as pieces and letters that UTF-8 has no form for."""
    odd = Piece(side="input", place="tool_schema", text="\udfff\t\n", path=("tools", 0, KEY))
    rich = replace(SAID, asked=(*SAID.asked, odd), tools=(Tool(name="look"),), unread=("messages.0.image",), stream=True)
    asked = exchange_of(content_of(rich, "input"))
    assert asked == replace(rich, said=(), calls=())
    assert exchange_of(content_of(rich, "output"), asked) == rich
    for broken_text in (b"", b"{}", b"[1,2]", b'[1,2,3,4,5,6,[{"x":1}]]'):
        with pytest.raises(ReplayError, match="expected one side of an exchange"):
            exchange_of(broken_text)


def test_a_shadowed_word_is_part_of_the_decision(tmp_path):
    """What a watching rail would have done is compared as well."""

    class Watched(Policy):
        def decide(self, exchange, side):
            return shadowed(super().decide(exchange, side))

    policy = Policy(basis=replace(BASIS, keep_days=1))
    id_, database, secret = recorded(tmp_path, policy)
    assert "input shadow: recorded None, replayed 'redact'" in replay(database, secret, id_, Watched()).differences
