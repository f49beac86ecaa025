"""Campaigns by number of workers: measured on this machine, and simulated beyond it.

    python -m benchmarks.scaling --record sample.json                  # measures, checks the simulation, and looks beyond
    python -m benchmarks.scaling --sample sample.json --rate 200       # looks beyond alone, with what was measured before

Measured is `trueline attack --workers N` from its first task to its report: 29 attacks on goals of the world, on a model with
0.9 M random parameters; each worker has one thread and a model of its own. `at once` is an endpoint on this machine that
refuses, `distant` one that does so after half a second, `paced` the same asked no more than a hundred times a second. Rounds
alternate all of them; `ratio` is within a round. `foreign` is how many cores' worth of other programs ran beside. What a task
costs a worker is processor time, which is the same beside others. What the driver does is measured apart, as processor time
too: tasks that give back what a file holds, turns that are asked for, the writing of the same chunks into an SQLite file; and
what a report costs an attempt, from campaigns of two sizes.

The simulation (benchmarks/scaling_model.py) draws task times from those of one worker; what it predicts, and at most what the
cores that others left can do, stands beside what was measured. Beyond the machine a worker is a core with such a model, or has
a replica of a large one that answers `--each` attempts a second (benchmarks/scaling_cost.py says how many), or all ask one
endpoint with a rate limit (--rate), so many questions at a time (--slots) and seconds an answer (--latency); what a worker does
itself is then that of an endpoint that answers at once.
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

from benchmarks.campaign import endpoint
from benchmarks.scaling_model import NOWHERE, Costs, Endpoint, bounds, limit, simulate
from benchmarks.scaling_work import Done, Timed
from benchmarks.training import worked
from trueline.cluster.executor import Local
from trueline.core.files import atomic_file
from trueline.core.records import from_dict
from trueline.core.types import Attempt, Completion, Run
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.attacking import Attacking, carry_out
from trueline.recipes.progress import Quiet
from trueline.store.chunks import save_chunk
from trueline.store.database import Hashes, save_run
from trueline.store.opening import open_database
from trueline.targets.http import Asking
from trueline.targets.patience import Pace
from trueline.world.language import vocabulary

BEYOND = (1, 10, 100, 1000)
LATENCY, PACE = 0.5, 100.0  # of the distant targets that are measured: seconds an answer, and questions a second of one
CORES = len(os.sched_getaffinity(0))
AT_ONCE = 64  # questions of one worker at a time


@dataclass(frozen=True, kw_only=True)
class Round:
    """One campaign on so many workers."""

    target: str
    endpoint: Endpoint
    workers: int
    tasks: int
    attempts: int
    seconds: float  # once every worker has had a first task, up to the last result
    starting: float  # seconds from nothing to the first result
    closing: float  # processor seconds of the driver from the last result to the report
    own: tuple[float, ...]  # seconds that the workers took for each task
    sample: Any  # a task's result
    foreign: float

    @property
    def rate(self) -> float:
        """Attempts a second once all workers are there."""
        return self.attempts / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=40, help="of each measured campaign")
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
    with tempfile.TemporaryDirectory() as made, endpoint() as near, endpoint(LATENCY) as far:
        folder = Path(made)
        tiny(word_tokenizer(vocabulary())).save(folder / "model")
        at_once, distant, paced = Endpoint(), Endpoint(latency=LATENCY), Endpoint(latency=LATENCY, per_second=PACE)
        urls = {"at once": (near, at_once), "distant": (far, distant), "paced": (far, paced)}
        kinds = [("own models", n, NOWHERE, str(folder / "model"), tasks) for n in workers]
        for name, (port, kind) in urls.items():  # more of them, since they are faster
            kinds += [(name, n, kind, f"http://127.0.0.1:{port}/v1#refuser", 3 * n * tasks) for n in (1, 4)]
        rounds = []
        for turn in range(times):
            rounds.append([campaign(*kind, folder / f"{turn}-{i}" / "run") for i, kind in enumerate(kinds)])
            print(f"round {turn + 1} of {times}", file=sys.stderr)
        every = [r for one in rounds for r in one]
        own, remote = (costs_of(every, name, folder) for name in ("own models", "at once"))
    turns = remote.attempts * timed_asking()
    return rounds, own, replace(remote, handing=remote.handing + turns)


def costs_of(every: list[Round], target: str, folder: Path) -> Costs:
    """What campaigns of one worker come to; what a report costs an attempt is read off campaigns of two sizes."""
    alone, four = ([r for r in every if r.workers == n] for n in (1, 4))
    few, many = ([r for r in some if r.target == "at once"] for some in (alone, four))
    closing = median(r.closing for r in many) - median(r.closing for r in few)
    mine = [r for r in alone if r.target == target]
    sample = mine[0].sample
    return Costs(
        tasks=[seconds for r in mine for seconds in r.own],
        attempts=len(sample["attempts"]),
        handing=timed_handing(folder / f"{target}.json", sample),
        writing=timed_writing(folder / f"{target}.db", sample),
        closing=max(0.0, closing / (many[0].attempts - few[0].attempts)),
        starting=median(r.starting for r in mine),
    )


def campaign(name: str, workers: int, kind: Endpoint, target: str, tasks: int, folder: Path) -> Round:
    """Attack a target with so many workers, a goal under every attack to a task, and a few tasks to begin with."""
    os.environ["OPENAI_API_KEY"] = "none"
    asked = Attacking(target=target, attacks="words", goals="world", n=tasks + 4, budget=1, judge="oracle")
    per_minute = 0.0 if kind.per_second == inf else 60 * kind.per_second
    asking = Asking(pace=Pace(at_once=AT_ONCE * workers, a_minute=per_minute))
    busy, used, began = worked(), sum(os.times()[:4]), time.monotonic()
    with Timed(Local(workers=workers)) as executor:
        carry_out(asked, show=Quiet(), out=folder, asking=asking, executor=executor)
        closing = time.process_time() - executor.last
    foreign = (worked() - busy - sum(os.times()[:4]) + used) / (time.monotonic() - began)
    came = executor.came
    first = {done.worker: done.ended for done in reversed(came)}  # of each worker; the opening of its target is in it
    since, last = max(first.values()), max(done.ended for done in came)
    counted = [done for done in came if done.ended > since]
    return Round(
        target=name, endpoint=kind, workers=workers, tasks=len(counted), attempts=sum(map(attempts_of, counted)),
        seconds=last - since, starting=came[0].ended - began, closing=closing,
        own=tuple(done.seconds for done in came if done.ended > first[done.worker]), sample=came[-1].result,
        foreign=max(0.0, foreign),
    )  # fmt: skip


def attempts_of(done: Done) -> int:
    """How many attempts a task made."""
    return len(done.result["attempts"])


def timed_handing(path: Path, sample: Any, count: int = 200) -> float:
    """Processor seconds of the driver for a task whose item is small and whose result is this one."""
    path.write_text(json.dumps(sample), encoding="utf-8")
    with Local(workers=1) as executor:
        list(executor.map("benchmarks.scaling_work:again", [str(path)]))  # it starts
        began = time.process_time()
        for result in executor.map("benchmarks.scaling_work:again", [str(path)] * count):
            records(result)
        return (time.process_time() - began) / count


def timed_asking(count: int = 5000) -> float:
    """Processor seconds of the driver to answer what a worker asks in the middle of a task: its turn at a target."""
    with Local(workers=1) as executor:
        list(executor.map("benchmarks.scaling_work:turns", [1]))  # it starts
        began = time.process_time()
        list(executor.map("benchmarks.scaling_work:turns", [count]))
        return (time.process_time() - began) / count


def timed_writing(path: Path, sample: Any, count: int = 50) -> float:
    """Processor seconds to write one attempt, in transactions of a chunk's."""
    engine = open_database(path)
    save_run(engine, Run(id="r", recipe="attack"))
    made, answered = records(sample)
    began = time.process_time()
    for number in range(count):
        replies = {f"{number}-{question}": completion for question, completion in answered.items()}
        save_chunk(engine, "r", str(number), {"clean": True}, replies, made)
    took = time.process_time() - began
    engine.dispose()
    return took / (count * len(made))


def records(result: Any) -> tuple[list[tuple[Attempt, Hashes]], dict[str, Completion]]:
    """A chunk's attempts and replies, as the driver reads them (recipes/spread.py)."""
    made = [(from_dict(Attempt, attempt), from_dict(Hashes, hashes)) for attempt, hashes in result["attempts"]]
    return made, {question: from_dict(Completion, completion) for question, completion in result["replies"].items()}


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
        foreign = median(r.foreign for r in these)
        each = (mean(costs.tasks) + costs.handing) / costs.attempts + costs.writing  # processor seconds, all together
        said = min(said, max(0.0, CORES - foreign) / each)
        rate, ratios = median(r.rate for r in these), sorted(one[index].rate / one[least].rate for one in rounds)
        found.append({
            "target": first.target, "workers": n, "rate": rate, "ratio": median(ratios), "least": ratios[0],
            "largest": ratios[-1], "predicted": said, "off": said / rate - 1, "foreign": foreign,
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
    print(f", {own['writing'] * 1e3:.3f} ms to write an attempt, {own['closing'] * 1e3:.3f} ms to report of it")
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
