"""A campaign of 10,000 attempts on a Ray cluster of which a machine is lost, and the driver killed: all are there once.

    python -m benchmarks.ray_campaign
    python -m benchmarks.ray_campaign --goals 750 --nodes 2 --json

The cluster is several raylets on this machine (tests/cluster/raylets.py), the target a tiny random model that every worker
opens for itself. At a third of the attempts a machine is ended as a power cut does, with its workers in the middle of their
chunks; at two thirds the driver is killed with -9, and the same command goes on. Then the database is read: every attempt of
every goal once, in the order of the goals, and each the same as in a campaign of one process, to the last token. There batches
have other companions, so log-probabilities may differ in the last bits, and by how much is said. It exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from tests.cluster.raylets import raylets
from trueline.attack.goals import read_goals
from trueline.core.types import Attempt
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.attacking import Attacking, carry_out
from trueline.recipes.progress import Quiet
from trueline.store.database import attempts
from trueline.store.opening import open_database
from trueline.store.tallies import tallied
from trueline.world.language import vocabulary

PATIENCE = 1800.0  # seconds that anything may take


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goals", type=int, default=7500, help="harmful goals; a third as many benign ones come on top")
    parser.add_argument("--nodes", type=int, default=3, help="machines of one processor each")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        found = measured(Path(made), asked.goals, asked.nodes)
    if asked.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:34} {value:,.4g}" if isinstance(value, float) else f"{name:34} {value}")
    sys.exit(0 if found["once"] and found["in order"] and found["as one process makes them"] else 1)


def measured(folder: Path, goals: int, nodes: int) -> dict[str, float | int | bool]:
    """Run it in a folder, and return what came of it."""
    model = folder / "tiny"
    torch.manual_seed(0)
    tiny(word_tokenizer(vocabulary()), width=32, layers=1, heads=2).eval().save(model)
    asked = Attacking(target=str(model), attacks="direct", goals="world", n=goals, max_tokens=24)
    expected = [goal.id for goal in read_goals("world", goals)]
    began = time.monotonic()
    carry_out(asked, show=Quiet(), out=folder / "one" / "a")
    alone = time.monotonic() - began

    out = folder / "many" / "a"
    command = [sys.executable, "-m", "trueline", "attack", str(model), "--attacks", "direct", "--goals", "world", "--json"]
    command += ["--n", str(goals), "--max-tokens", "24", "--out", str(out)]
    with raylets(nodes) as cluster:
        command += ["--cluster", cluster.address]
        began = time.monotonic()
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        database = out.parent / "trueline.db"
        at_loss = _wait(lambda: _stored(database), len(expected) // 3, first)
        lost = time.monotonic()
        cluster.kill(0)
        _wait(lambda: _stored(database), at_loss + 1, first)
        resumed = time.monotonic() - lost
        _wait(lambda: _stored(database), 2 * len(expected) // 3, first)
        first.kill()
        first.wait()
        before = _stored(database)
        second = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=PATIENCE)
        seconds = time.monotonic() - began
    report = json.loads(second.stdout)
    made, one = (attempts(open_database(folder / name / "trueline.db")) for name in ("many", "one"))
    return {
        "attempts asked for": len(expected),
        "attempts stored": len(made),
        "stored when a machine was lost": at_loss,
        "stored when the driver was killed": before,
        "asked after that": report["asked"],
        "once": len(made) == len({_key(a) for a in made}) == len(expected),
        "in order": [a.goal.id for a in made] == expected,
        "as one process makes them": {_key(a): _told(a) for a in made} == {_key(a): _told(a) for a in one},
        "largest gap of a log-probability": _gap(made, one),
        "seconds to the next attempt then": resumed,
        "seconds": seconds,
        "attempts a second": len(made) / seconds,
        "attempts a second, one process": len(one) / alone,
    }


def _key(attempt: Attempt) -> tuple[str, str, int]:
    return attempt.goal.id, attempt.attack, attempt.query


def _told(attempt: Attempt) -> Attempt:
    return replace(attempt, completion=replace(attempt.completion, logprobs=()))


def _gap(made: Sequence[Attempt], one: Sequence[Attempt]) -> float:
    """The largest difference of a token's log-probability."""
    beside = {_key(attempt): attempt.completion.logprobs for attempt in one}
    pairs = (zip(a.completion.logprobs, beside[_key(a)], strict=True) for a in made)
    return max(abs(x - y) for pair in pairs for x, y in pair)


def _stored(database: Path) -> int:
    if not database.is_file():
        return 0
    engine = open_database(database)
    try:
        return sum(sum(tally.outcomes.counts.values()) for tally in tallied(engine))
    finally:
        engine.dispose()


def _wait(count: Callable[[], int], until: int, process: subprocess.Popen[bytes]) -> int:
    """Wait until there are so many, and return how many there are."""
    end = time.monotonic() + PATIENCE
    while (there := count()) < until:
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"expected {until} attempts, found {there} when the driver ended or time was up")
        time.sleep(0.1)
    return there


if __name__ == "__main__":
    main()
