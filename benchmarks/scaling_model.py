"""A campaign on many workers, simulated: the executor's own order of things, with measured costs.

    simulate(tasks=10_000, workers=100, costs=measured, rng=Random(0)).rate

One driver hands out tasks, at most `AHEAD` for each worker before the one whose result comes next, takes the results in order
and writes their attempts into the store; in the end it reads them all for the report. It does one thing at a time
(cluster/executor.py, recipes/spread.py). A worker does one task after the
other, for as long as one drawn from a measured sample took. A worker that dies is started anew and its task is done again.
Questions to a remote target pass a gate that all workers share: of it so many a second come out as the target's rate limit
allows and its slots serve, first come, first served, whole tasks at a time.

What limits a campaign can be said without simulating: `bounds` are what driver, store, workers and target could do if each were
alone, and no campaign is faster than the least of them. The simulation adds start-up, waiting for order, deaths and the end,
when some have nothing left to do.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from random import Random
from statistics import mean

from trueline.cluster.executor import AHEAD


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds, as measured; a task is a number of attempts that one worker makes."""

    tasks: Sequence[float]  # what a task took its worker, without a remote target's answers
    attempts: int  # of a task
    handing: float  # the driver: to hand a task out and to take its result
    writing: float  # the driver: to write one attempt
    closing: float  # the driver: to read an attempt again and report of it, when all are there
    starting: float  # a worker: from nothing to its first task


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A remote target. As it stands: none, and a worker answers itself."""

    per_second: float = inf  # questions, by its rate limit
    slots: float = inf  # questions that it serves at one time
    latency: float = 0.0  # seconds of an answer
    at_once: int = 64  # questions of one worker at one time

    @property
    def serves(self) -> float:
        """Questions a second that come out, at most."""
        return min(self.per_second, self.slots / self.latency if self.latency else inf)

    def answers(self, attempts: int) -> float:
        """Seconds until so many questions of one worker are answered, where nobody else asks."""
        return self.latency * ceil(attempts / self.at_once)


NOWHERE = Endpoint()


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What a simulated campaign came to."""

    attempts: int
    seconds: float
    first: float  # seconds until the first task began
    last: float  # seconds from the last result to the report
    busy: dict[str, float]  # share of the time: handing, writing, workers, target
    deaths: int

    @property
    def rate(self) -> float:
        """Attempts a second, start-up included."""
        return self.attempts / self.seconds

    @property
    def steady(self) -> float:
        """Attempts a second between the start of the workers and the last result."""
        return self.attempts / (self.seconds - self.first - self.last)


def bounds(costs: Costs, workers: int, endpoint: Endpoint = NOWHERE) -> dict[str, float]:
    """Attempts a second that each part could do alone; what the driver does is one thread's."""
    task = mean(costs.tasks) + endpoint.answers(costs.attempts)
    driver = costs.handing + costs.attempts * (costs.writing + costs.closing)
    return {
        "driver": costs.attempts / driver if driver else inf,
        "workers": workers * costs.attempts / task,
        "target": endpoint.serves,
    }


def limit(found: dict[str, float]) -> str:
    """The part that could do least."""
    return min(found, key=lambda part: found[part])


def simulate(
    *, tasks: int, workers: int, costs: Costs, rng: Random, endpoint: Endpoint = NOWHERE, dying: float = 0.0
) -> Simulated:
    """Run so many tasks; `dying` is the probability that a task's worker dies in the middle of it.

    Tasks are begun in the order in which they are handed out, so each is followed to its end as soon as it is.
    """
    if tasks < 1 or workers < 1 or not 0 <= dying < 1:
        raise ValueError(f"expected tasks, workers and a probability below 1, got {tasks}, {workers} and {dying}")
    free = [costs.starting] * workers  # when each worker has nothing to do; a heap, as it stands
    ended: list[float] = []
    now = gate = worked = served = 0.0
    deaths = 0
    for given in range(tasks):
        while len(ended) < min(tasks, given + workers * AHEAD):  # the driver hands out, and waits for the next in order
            now += costs.handing
            begun = max(heapq.heappop(free), now)
            own = rng.choice(costs.tasks)
            while rng.random() < dying:
                begun += rng.random() * own + costs.starting
                deaths += 1
            end = begun + own
            if endpoint is not NOWHERE:
                through = costs.attempts / endpoint.serves
                gate = max(gate, begun) + through
                served += through
                end = own + max(begun + endpoint.answers(costs.attempts), gate + endpoint.latency)
            worked += end - begun
            heapq.heappush(free, end)
            ended.append(end)
        now = max(now, ended[given]) + costs.attempts * costs.writing
    now += tasks * costs.attempts * costs.closing
    busy = {
        "handing": tasks * costs.handing / now,
        "writing": tasks * costs.attempts * (costs.writing + costs.closing) / now,
        "workers": worked / (workers * now),
        "target": served / now,
    }
    return Simulated(
        attempts=tasks * costs.attempts,
        seconds=now,
        first=costs.starting,
        last=tasks * costs.attempts * costs.closing,
        busy=busy,
        deaths=deaths,
    )
