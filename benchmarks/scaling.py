"""Campaigns by number of workers: measured on this machine, and simulated beyond it.

    python -m benchmarks.scaling --record sample.json                  # measures, checks the simulation, and looks beyond
    python -m benchmarks.scaling --sample sample.json --rate 200       # looks beyond alone, with what was measured before

Measured are campaigns on a 0.9 M-parameter model of the world with random weights, 29 attacks on three goals a task; each
worker has one thread and a model of its own. Rounds alternate the numbers of workers; `ratio` is within a round. `foreign` is
how many cores' worth of other programs ran beside: above .25 a round says little. What the driver does is measured apart: tasks
that give back their item, turns that are asked for (processor time of both), and writing the attempts into an SQLite file.
`distant` targets cost nothing and answer after half a second, `paced` ones no more than a hundred times a second.

The simulation (benchmarks/scaling_model.py) draws task times from those of one worker; its prediction stands beside what was
measured. Beyond the machine a worker is a core with such a model, or has a replica of a large one that answers `--each`
attempts a second (benchmarks/scaling_cost.py says how many), or all ask one endpoint with a rate limit (--rate), so many
questions at a time (--slots) and seconds an answer (--latency); what a worker does itself is then measured on a target that
costs nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Any

from benchmarks.scaling_model import NOWHERE, Costs, Endpoint, bounds, limit, simulate
from benchmarks.training import worked
from trueline.cluster.executor import Local
from trueline.core.files import atomic_file
from trueline.core.records import from_dict
from trueline.core.types import Attempt, Run
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.store.database import Hashes, save_replies, save_run
from trueline.store.opening import Database, open_database
from trueline.world.language import vocabulary

ATTACKS, GOALS = "words", 3  # of a task
LATENCY, PACE = 0.5, 100.0  # of the distant targets that are measured: seconds an answer, and questions a second of one
BEYOND = (1, 10, 100, 1000)
HASHES = Hashes(target="t", attack="a", judge="j", goal="g")


@dataclass(frozen=True, kw_only=True)
class Round:
    """One campaign on so many workers."""

    target: str
    endpoint: Endpoint
    workers: int
    tasks: int
    attempts: int
    seconds: float  # once every worker has had a first task: start-up is not in it
    starting: float  # seconds from nothing to the first result, less that task's own
    own: tuple[float, ...]  # seconds that the workers took for each task
    foreign: float

    @property
    def rate(self) -> float:
        """Attempts a second."""
        return self.attempts / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=24, help="of each measured campaign")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", default="1,2", help="that are measured with models of their own, comma between")
    parser.add_argument("--record", type=Path, help="write what was measured there")
    parser.add_argument("--sample", type=Path, help="what --record wrote: nothing is measured")
    parser.add_argument("--attempts", type=int, default=1_000_000, help="of a simulated campaign")
    parser.add_argument("--each", type=float, default=5.86, help="attempts a second that a large model's replica answers")
    parser.add_argument("--dying", type=float, default=0.001, help="probability that a task's worker dies")
    parser.add_argument("--rate", type=float, default=50.0, help="of an endpoint: questions a second")
    parser.add_argument("--slots", type=int, default=256, help="of an endpoint: questions at one time")
    parser.add_argument("--latency", type=float, default=2.0, help="of an endpoint: seconds of an answer")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if min(asked.tasks, asked.rounds, asked.attempts, asked.each, asked.rate, asked.slots, asked.latency) <= 0:
        parser.error("expected numbers above 0")
    told: dict[str, Any] = {}
    if asked.sample:
        try:
            read = json.loads(asked.sample.read_text(encoding="utf-8"))
            own, remote = Costs(**read["own"]), Costs(**read["remote"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            parser.error(f"--sample: expected a file that --record wrote, {asked.sample}: {error}")
    else:
        rounds, own, remote = measure([int(n) for n in asked.workers.split(",")], asked.tasks, asked.rounds)
        told["measured"] = checked(rounds, own, remote)
        if asked.record:
            with atomic_file(asked.record) as file:
                file.write(json.dumps({"own": asdict(own), "remote": asdict(remote)}).encode())
    told["costs"] = {"own": summary(own), "remote": summary(remote)}
    slower = own.attempts / asked.each / mean(own.tasks)
    kinds = {
        "small models": (own, NOWHERE),
        "large replicas": (replace(own, tasks=[seconds * slower for seconds in own.tasks]), NOWHERE),
        "one endpoint": (remote, Endpoint(per_second=asked.rate, slots=asked.slots, latency=asked.latency)),
    }
    told["beyond"] = [row(name, n, *kind, asked.attempts, asked.dying) for name, kind in kinds.items() for n in BEYOND]
    print(json.dumps(told)) if asked.json else show(told)


def measure(workers: list[int], tasks: int, times: int) -> tuple[list[list[Round]], Costs, Costs]:
    """Campaigns on each number of workers in turn, and the costs they come to: with own models, and of remote ones."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of each worker, however few there are
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        tiny(word_tokenizer(vocabulary())).save(folder / "model")
        kinds = [("own models", n, NOWHERE, str(folder / "model")) for n in workers]
        kinds += [("distant", n, Endpoint(latency=LATENCY), "") for n in (1, 4)]
        kinds += [("paced", n, Endpoint(latency=LATENCY, per_second=PACE), "") for n in (1, 4)]
        rounds = []
        for turn in range(times):
            rounds.append([campaign(*kind, tasks, folder / f"{turn}-{i}.db") for i, kind in enumerate(kinds)])
            print(f"round {turn + 1} of {times}", file=sys.stderr)
        sample, *_ = parts(1, str(folder / "model"))
        asking = parts(tasks + 1, "")[1:]
        attempts = [from_dict(Attempt, a) for a in sample["attempts"]]
        writing = timed_writing(open_database(folder / "writing.db"), attempts)
    alone = [r for one in rounds for r in one if r.endpoint is NOWHERE and r.workers == min(workers)]
    own = Costs(
        tasks=[seconds for r in alone for seconds in r.own],
        attempts=len(attempts),
        handing=timed_handing(sample),
        writing=writing,
        starting=median(r.starting for r in alone),
    )
    handing = own.handing + own.attempts * timed_asking()
    return rounds, own, replace(own, tasks=[result["seconds"] for result in asking], handing=handing)


def campaign(target: str, workers: int, endpoint: Endpoint, model: str, tasks: int, database: Path) -> Round:
    """Run a campaign on so many workers, its attempts written in order as they come."""
    engine = open_database(database)
    save_run(engine, Run(id="r", recipe="attack"))
    busy, used, began = worked(), sum(os.times()[:4]), time.perf_counter()
    own, attempts = [], 0
    with Local(workers=workers) as executor:
        results = executor.map("benchmarks.scaling_work:part", items(tasks + workers, model, endpoint))
        for number, result in enumerate(results):
            write(engine, [from_dict(Attempt, a) for a in result["attempts"]])
            if number == 0:
                starting = time.perf_counter() - began - result["seconds"]
            if number == workers - 1:  # all are there
                since = time.perf_counter()
            if number >= workers:
                own.append(result["seconds"])
                attempts += len(result["attempts"])
        ended = time.perf_counter()
    foreign = (worked() - busy - sum(os.times()[:4]) + used) / (time.perf_counter() - began)
    engine.dispose()
    return Round(
        target=target, endpoint=endpoint, workers=workers, tasks=tasks, attempts=attempts, seconds=ended - since,
        starting=starting, own=tuple(own), foreign=max(0.0, foreign),
    )  # fmt: skip


def items(count: int, model: str, endpoint: Endpoint = NOWHERE) -> list[dict[str, Any]]:
    """Tasks: the same attacks, each on goals that its own seed draws; of a model, or of a target that costs nothing."""
    asked = {"model": model, "attacks": ATTACKS, "goals": GOALS}
    asked |= {"latency": endpoint.latency, "apart": 1 / endpoint.per_second}
    return [{**asked, "seed": seed} for seed in range(count)]


def parts(count: int, model: str) -> list[dict[str, Any]]:
    """What so many tasks give, one worker doing them."""
    with Local(workers=1) as executor:
        return list(executor.map("benchmarks.scaling_work:part", items(count, model)))


def timed_handing(item: dict[str, Any], count: int = 200) -> float:
    """Processor seconds of the driver for a task whose item is small and whose result is as large as this one."""
    with Local(workers=1) as executor:
        list(executor.map("benchmarks.scaling_work:again", [item]))  # it starts
        began = time.process_time()
        for result in executor.map("benchmarks.scaling_work:again", [item] * count):
            for attempt in result["attempts"]:
                from_dict(Attempt, attempt)
        return (time.process_time() - began) / count


def timed_asking(count: int = 5000) -> float:
    """Processor seconds of the driver to answer what a worker asks in the middle of a task: its turn at a target."""
    with Local(workers=1) as executor:
        list(executor.map("benchmarks.scaling_work:turns", [1]))  # it starts
        began = time.process_time()
        list(executor.map("benchmarks.scaling_work:turns", [count]))
        return (time.process_time() - began) / count


def timed_writing(engine: Database, attempts: list[Attempt], count: int = 20) -> float:
    """Seconds to write one attempt, in transactions of a task's."""
    save_run(engine, Run(id="r", recipe="attack"))
    began = time.perf_counter()
    for _ in range(count):
        write(engine, attempts)
    engine.dispose()
    return (time.perf_counter() - began) / (count * len(attempts))


def write(engine: Database, attempts: list[Attempt]) -> None:
    """One task's attempts, in one transaction."""
    save_replies(engine, "r", {}, [(attempt, HASHES) for attempt in attempts])


def checked(rounds: list[list[Round]], own: Costs, remote: Costs) -> list[dict[str, Any]]:
    """What was measured for each kind of target and number of workers, beside what the simulation says of it."""
    found = []
    for index, first in enumerate(rounds[0]):
        n, endpoint, costs = first.workers, first.endpoint, own if first.endpoint is NOWHERE else remote
        least = next(i for i, r in enumerate(rounds[0]) if r.target == first.target)  # the fewest workers of its kind
        said = median(
            simulate(tasks=first.tasks, workers=n, costs=costs, rng=Random(seed), endpoint=endpoint).steady
            for seed in range(25)
        )
        these = [one[index] for one in rounds]
        rate, ratios = median(r.rate for r in these), sorted(one[index].rate / one[least].rate for one in rounds)
        found.append({
            "target": first.target, "workers": n, "rate": rate, "ratio": median(ratios), "least": ratios[0],
            "largest": ratios[-1], "predicted": said, "off": said / rate - 1, "foreign": max(r.foreign for r in these),
        })  # fmt: skip
    return found


def summary(costs: Costs) -> dict[str, Any]:
    """The costs without every single task."""
    return {**asdict(costs), "tasks": {"n": len(costs.tasks), "mean": mean(costs.tasks), "largest": max(costs.tasks)}}


def row(name: str, workers: int, costs: Costs, endpoint: Endpoint, attempts: int, dying: float) -> dict[str, Any]:
    """One simulated campaign, and what its limit is."""
    tasks = max(1, attempts // costs.attempts)
    found = simulate(tasks=tasks, workers=workers, costs=costs, rng=Random(workers), endpoint=endpoint, dying=dying)
    could = bounds(costs, workers, endpoint)
    finite = {part: rate for part, rate in could.items() if rate < inf}
    return {
        "target": name, "workers": workers, "rate": found.rate, "seconds": found.seconds, "deaths": found.deaths,
        "busy": found.busy, "bounds": finite, "limit": limit(could),
    }  # fmt: skip


def show(told: dict[str, Any]) -> None:
    """What people read."""
    if "measured" in told:
        head = f"{'measured':12}{'workers':>8}{'attempts/s':>11}{'ratio':>7}  (least to largest)"
        print(f"{head}{'predicted':>10}{'off':>8}{'foreign':>9}")
        for r in told["measured"]:
            spread = f"({r['least']:.2f} to {r['largest']:.2f})"
            head = f"{r['target']:12}{r['workers']:8}{r['rate']:11.1f}{r['ratio']:7.2f}  {spread:18}"
            print(f"{head}{r['predicted']:10.1f}{r['off']:+8.1%}{r['foreign']:9.2f}")
    own, remote = told["costs"]["own"], told["costs"]["remote"]
    print(f"a task: {own['attempts']} attempts; a start: {own['starting']:.1f} s")
    for name, costs in (("with its own model", own), ("beside its target", remote)):
        print(f"a worker {name}: {costs['tasks']['mean']:.3f} s a task (n {costs['tasks']['n']})")
    print(
        f"the driver: {own['handing'] * 1e3:.1f} ms a task ({remote['handing'] * 1e3:.1f} ms where turns are asked for)", end=""
    )
    print(f", and {own['writing'] * 1e3:.3f} ms to write an attempt")
    print(f"{'simulated':15}{'workers':>8}{'attempts/s':>11}{'hours':>8}  | busy: driver workers target", end="")
    print(" | alone: driver workers target   limit")
    for r in told["beyond"]:
        busy, could = r["busy"], r["bounds"]
        shares = f"{busy['handing'] + busy['writing']:14.2f}{busy['workers']:8.2f}{busy['target']:7.2f}"
        rates = f"{could['driver']:16.0f}{could['workers']:8.0f}" + (
            f"{could['target']:7.0f}" if "target" in could else " " * 7
        )
        print(f"{r['target']:15}{r['workers']:8}{r['rate']:11.1f}{r['seconds'] / 3600:8.2f}{shares}{rates}   {r['limit']}")


if __name__ == "__main__":
    main()
