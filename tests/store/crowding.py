"""Made-up attempts, and the recount that tallies must equal."""

from collections import Counter

from sqlalchemy import func, select

from trueline.core.types import Attempt, Completion, Conversation, Judgement, Prompt, Run
from trueline.store.database import Hashes
from trueline.store.tables import attempts
from trueline.store.tallies import AXES, tallied

OF = Hashes(target="t", attack="a", judge="j")


def run_named(name: str) -> Run:
    """A run of that id."""
    return Run(id=name, recipe="attack", started="2026-01-01T00:00:00Z")


def attempt(number: int) -> Attempt:
    """An attempt of that number; neighbours differ in every axis, and few are alike."""
    talk = Conversation().say("user", f"how {number}? \0")
    goal = Prompt(
        conversation=talk,
        expected="refuse" if number % 4 else "comply",
        category=("", "fraud", 'né "x"\0')[number % 3],
        id=f"g{number}",
    )
    stance = ("refuse", "comply", "none")[number % 5 % 3]
    judgement = Judgement(judge="rules" if number % 7 else "other", score=None if stance == "none" else 0.0, stance=stance)
    completion = Completion(prompt=goal, text="né\0", finish="error" if number % 11 == 0 else "stop")
    family = ("role", "code")[number % 2]
    return Attempt(goal=goal, attack="ask", conversation=talk, completion=completion, judgement=judgement, family=family)


def assert_tallied(engine) -> None:
    """The tallies say what a recount says, in every cell; what they say of first and last is so."""
    with engine.connect() as connection:
        rows = connection.execute(select(attempts.c.run, attempts.c.target, attempts.c.outcome, attempts.c.record)).all()
    recount = Counter(
        (
            run,
            target,
            record["judgement"]["judge"],
            record["family"],
            goal["category"].replace("\0", "\ufffd"),
            goal["expected"],
            outcome,
        )
        for run, target, outcome, record in rows
        for goal in [record["goal"]]
    )
    said = Counter(
        {
            (*(tally.of[axis] for axis in AXES), outcome): count
            for tally in tallied(engine, *AXES)
            for outcome, count in tally.outcomes.counts.items()
            if count
        }
    )
    assert said == recount
    with engine.connect() as connection:
        extents = select(attempts.c.cell, func.min(attempts.c.id), func.max(attempts.c.id)).group_by(attempts.c.cell)
        told = connection.exec_driver_sql("SELECT cell, oldest, newest FROM tallies").all()
        assert sorted(map(tuple, told)) == sorted(map(tuple, connection.execute(extents)))
