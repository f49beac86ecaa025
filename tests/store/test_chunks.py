"""A chunk is stored whole and once, with what was told of it; whoever makes attempts anew forgets it."""

from __future__ import annotations

import pytest

from trueline.core.types import Attempt, Completion, Conversation, Judgement, Prompt, Run
from trueline.store.chunks import chunks, save_chunk
from trueline.store.database import Hashes, attempts, drop_attempts, replies, save_run
from trueline.store.opening import DatabaseError, open_database


@pytest.fixture
def engine(tmp_path):
    made = open_database(tmp_path / "a.db")
    save_run(made, Run(id="r", recipe="attack"))
    yield made
    made.dispose()


def attempt(goal: str) -> Attempt:
    prompt = Prompt(conversation=Conversation().say("user", goal), expected="refuse", id=goal)
    said = Completion(prompt=prompt, text="no")
    return Attempt(goal=prompt, attack="direct", conversation=prompt.conversation, completion=said,
                   judgement=Judgement(judge="j", score=1.0), query=1, family="direct", split="train")  # fmt: skip


def test_a_chunk_that_comes_twice_is_there_once(engine):
    """Its attempts stand in their order; what comes again under its key changes nothing."""
    made = [(attempt(goal), Hashes(target="t")) for goal in "cab"]
    save_chunk(engine, "r", "k1", {"clean": True}, {"q": made[0][0].completion}, made)
    save_chunk(engine, "r", "k1", {"clean": False}, {}, [(attempt("d"), Hashes(target="t"))])
    assert chunks(engine, "r") == {"k1": {"clean": True}}
    assert [one.goal.id for one in attempts(engine, run="r")] == list("cab")
    assert set(replies(engine, "r")) == {"q"}


def test_what_fails_leaves_nothing(engine):
    """A chunk whose attempts cannot be stored is not done, and its replies are not there."""

    def broken():
        yield attempt("a"), Hashes(target="t")
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        save_chunk(engine, "r", "k1", {}, {"q": attempt("a").completion}, broken())
    assert (chunks(engine, "r"), attempts(engine, run="r"), replies(engine, "r")) == ({}, [], {})
    with pytest.raises(DatabaseError, match="save_run first"):
        save_chunk(engine, "another", "k1", {}, {}, [])


def test_attempts_that_are_dropped_are_no_chunks_any_more(engine):
    """Replies stay: they are what attempts are made again from."""
    made = attempt("a")
    save_chunk(engine, "r", "k1", {}, {"q": made.completion}, [(made, Hashes(target="t"))])
    drop_attempts(engine, "r")
    assert (chunks(engine, "r"), attempts(engine, run="r"), len(replies(engine, "r"))) == ({}, [], 1)
