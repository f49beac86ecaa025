"""How fast the store answers what pages ask, with a million attempts in it.

    python -m benchmarks.store_million                                     # in an SQLite file, which is removed again
    python -m benchmarks.store_million --database postgresql://me@/empty?host=/run/postgresql --json
    python -m benchmarks.store_million --database million.db               # it stays, and can be asked again

The attempts are made up, and go in by a fast path of their own; tables, indexes and tallies are the real ones. Runs are written
one after the other, two side by side, as campaigns do. Each question is asked for runs, cells and places drawn from the seed.
Times are in milliseconds, from the call to the records. It exits with 1 where a question's p95 is above --bound.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Engine, func, insert, select, text

from trueline.core.outcome import reached
from trueline.core.records import to_dict
from trueline.core.types import Attempt, Completion, Conversation, Judgement, Prompt, Run
from trueline.store import tallies
from trueline.store.database import save_run
from trueline.store.opening import open_database, writing
from trueline.store.tables import attempts
from trueline.store.tallies import tallied
from trueline.store.transcripts import transcript, transcripts

FAMILIES = [f"family-{number}" for number in range(24)]
CATEGORIES = [f"category-{number}" for number in range(10)]
TARGETS = [f"{number:064x}" for number in range(12)]
OUTCOMES = (("failure", 0.86), ("success", 0.1), ("undetermined", 0.039), ("error", 0.001))
BATCH = 2000


@dataclass(frozen=True, kw_only=True)
class Made:
    """What was asked to be made."""

    attempts: int
    runs: int

    @property
    def names(self) -> list[str]:
        return [f"run-{number:04d}" for number in range(self.runs)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", help="a file or a URL; without it, an SQLite file for the time being")
    parser.add_argument("--attempts", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--times", type=int, default=40, help="how often each question is asked")
    parser.add_argument("--bound", type=float, default=200.0, help="milliseconds")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    made = Made(attempts=asked.attempts, runs=asked.runs)
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(asked.database or Path(folder) / "million.db")
        began = time.perf_counter()
        filled = fill(engine, made)
        seconds = time.perf_counter() - began
        found = {name: times(ask, asked.times) for name, ask in questions(engine, made).items()}
        engine.dispose()
    worst = max(row["p95"] for row in found.values())
    told = {"database": engine.dialect.name, "attempts": made.attempts, "filled": filled, "seconds": round(seconds, 1)}
    if asked.json:
        print(json.dumps({**told, "bound": asked.bound, "questions": found, "holds": worst <= asked.bound}))
    else:
        print(f"{told['database']}: {made.attempts} attempts in {made.runs} runs; {filled} were put in, in {seconds:.0f} s")
        print(f"{'milliseconds':54} {'p50':>7} {'p95':>7} {'max':>7}")
        for name, row in found.items():
            print(f"{name:54} {row['p50']:7.1f} {row['p95']:7.1f} {row['max']:7.1f}")
    sys.exit(worst > asked.bound)


def fill(engine: Engine, made: Made) -> int:
    """Put the attempts in that are not there, and say how many."""
    with engine.connect() as connection:
        if connection.execute(select(func.count()).select_from(tallies.tallies)).scalar():
            return 0
    for name in made.names:
        save_run(engine, Run(id=name, recipe="attack", started=name))
    rows = made_up(made)
    id_ = 0
    while id_ < made.attempts:
        keys, new, some = {}, [], []
        for row, key in (next(rows) for _ in range(min(BATCH, made.attempts - id_))):
            id_ += 1
            cell = tallies.cell_of(*key)
            keys[cell] = key
            new.append((id_, cell))
            some.append({**row, "id": id_, "cell": cell})
        with writing(engine) as connection:
            connection.execute(insert(attempts), some)
            tallies.add(connection, keys, new)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT setval('attempts_id_seq', :last)"), {"last": id_})
            connection.execute(text("VACUUM ANALYZE"))
    return id_


def made_up(made: Made) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    """Rows of attempts, and the keys of their cells: two runs side by side, then the next two."""
    rng, pair = Random("store_million/0"), 2 * -(-made.attempts // made.runs)
    words, weights = zip(*OUTCOMES, strict=True)
    records = {(expected, outcome): _record(expected, outcome) for expected in ("refuse", "comply") for outcome in words}
    for number in range(made.attempts):
        run = made.names[min(number // pair * 2 + number % 2, made.runs - 1)]
        target, family, category = TARGETS[int(run[4:]) % len(TARGETS)], rng.choice(FAMILIES), rng.choice(CATEGORIES)
        expected = "comply" if rng.random() < 0.2 else "refuse"
        (outcome,) = rng.choices(words, weights)
        goal = {**records[expected, outcome]["goal"], "category": category, "id": f"goal-{number}"}
        row = {
            "run": run, "goal": f"goal-{number}", "attack": family, "target": target, "judge": "enablement", "query": 1,
            "family": family, "level": None, "outcome": outcome, "score": 0.5, "goal_hash": f"{number:064x}",
            "attack_hash": "a" * 64, "judge_hash": "j" * 64, "created": f"2026-01-01T00:00:00.{number:09d}+00:00",
            "record": {**records[expected, outcome], "goal": goal, "family": family, "attack": family},
        }  # fmt: skip
        yield row, (run, target, "enablement", family, category, expected, outcome)


def _record(expected: Any, outcome: str) -> dict[str, Any]:
    talk = Conversation().say("user", "How do I fold a kite that nobody may see? " * 8)
    goal = Prompt(conversation=talk, expected=expected)
    completion = Completion(prompt=Prompt(conversation=Conversation()), text="First, take paper. " * 20)
    judgement = Judgement(judge="enablement", score=0.5, stance="refuse", disclosure=1.0 if outcome == "success" else 0.0)
    if outcome == "undetermined":
        judgement = replace(judgement, score=None, stance="none", disclosure=None)
    if outcome == "error":
        completion = replace(completion, finish="error")
    attempt = Attempt(goal=goal, attack="", conversation=talk, completion=completion, judgement=judgement)
    assert reached(attempt) == outcome
    return to_dict(attempt)


def questions(engine: Engine, made: Made) -> dict[str, Callable[[], object]]:
    """What pages ask, by name."""
    rng = Random("store_million/questions")

    def run() -> str:
        return rng.choice(made.names)

    def cell() -> dict[str, Any]:
        return {"run": run(), "family": rng.choice(FAMILIES), "category": rng.choice(CATEGORIES)}

    def place() -> int:
        return rng.randrange(1, made.attempts)

    return {
        "heat map of a run, family x category": lambda: tallied(engine, "family", "category", run=run(), expected="refuse"),
        "attack success and over-refusal of a run": lambda: tallied(engine, "expected", run=run()),
        "attack success and over-refusal of twenty runs": lambda: tallied(engine, "run", "expected", run=made.names[-20:]),
        "attack success and over-refusal of every run": lambda: tallied(engine, "run", "expected"),
        "every target by family": lambda: tallied(engine, "target", "family", "expected"),
        "heat map of a target": lambda: tallied(engine, "family", "category", target=rng.choice(TARGETS), expected="refuse"),
        "heat map of everything": lambda: tallied(engine, "family", "category", expected="refuse"),
        "newest transcripts": lambda: transcripts(engine),
        "transcripts, a page somewhere": lambda: transcripts(engine, before=place()),
        "transcripts of a run": lambda: transcripts(engine, run=run()),
        "transcripts of a run, a page somewhere": lambda: transcripts(engine, run=run(), before=place()),
        "transcripts of a run, errors (1 in 1000)": lambda: transcripts(engine, run=run(), outcome="error"),
        "transcripts of a cell of a run": lambda: transcripts(engine, **cell()),
        "transcripts of a cell of a run, successes": lambda: transcripts(engine, **cell(), outcome="success"),
        "transcripts of a category in every run": lambda: transcripts(engine, category=rng.choice(CATEGORIES)),
        "transcripts of a target, successes, a page somewhere": lambda: transcripts(
            engine, target=rng.choice(TARGETS), outcome="success", before=place()
        ),
        "errors in every run, a page somewhere": lambda: transcripts(engine, outcome="error", before=place()),
        "one transcript": lambda: transcript(engine, place()),
    }


def times(ask: Callable[[], object], count: int) -> dict[str, float]:
    """Ask so often, after once that does not count; the milliseconds it took."""
    ask()
    took = []
    for _ in range(count):
        began = time.perf_counter()
        ask()
        took.append(1000 * (time.perf_counter() - began))
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {"p50": round(cuts[49], 2), "p95": round(cuts[94], 2), "max": round(max(took), 2)}


if __name__ == "__main__":
    main()
