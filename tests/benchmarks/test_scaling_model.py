"""The simulated campaign is held against arithmetic that can be done by hand, and against its own bounds."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from benchmarks.scaling_model import Costs, Endpoint, bounds, limit, simulate

FREE = Costs(tasks=(2.0,), attempts=10, handing=0.0, writing=0.0, closing=0.0, starting=0.0)
REAL = Costs(tasks=(0.5, 1.0, 1.5, 5.0), attempts=16, handing=0.002, writing=0.0005, closing=0.0002, starting=3.0)


@pytest.mark.parametrize("workers", [1, 2, 10])
def test_workers_that_cost_nothing_share_the_work(workers):
    """Equal tasks and a driver that takes no time: the time is that of all tasks over the workers."""
    found = simulate(tasks=100, workers=workers, costs=FREE, rng=Random(0))
    assert found.seconds == pytest.approx(200 / workers)
    assert found.busy["workers"] == pytest.approx(1)
    assert found.rate == pytest.approx(bounds(FREE, workers)["workers"])


def test_start_up_is_waited_for_once():
    """Workers start side by side, and what is written after the last task comes on top."""
    costs = replace(FREE, starting=7.0, writing=0.1)
    found = simulate(tasks=1, workers=3, costs=costs, rng=Random(0))
    assert found.seconds == pytest.approx(7 + 2 + 1)
    assert found.steady == pytest.approx(10 / 3)


@pytest.mark.parametrize(
    ("part", "costs"), [("handing", {"handing": 0.5}), ("writing", {"writing": 0.05}), ("writing", {"closing": 0.05})]
)
def test_a_driver_that_is_always_busy_is_the_limit(part, costs):
    """With very many workers one thread's handing out, or writing, is all of the time, and the bound says so."""
    slow = replace(FREE, **costs)
    found = simulate(tasks=2000, workers=1000, costs=slow, rng=Random(0))
    assert limit(bounds(slow, 1000)) == "driver"
    assert found.rate == pytest.approx(bounds(slow, 1000)["driver"], rel=0.01)
    assert found.busy[part] == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("endpoint", [Endpoint(per_second=20), Endpoint(slots=10, latency=0.5)])
def test_a_target_gives_no_more_than_it_serves(endpoint):
    """Twenty questions a second, by a limit or by its slots, are twenty a second with ten workers and with a thousand."""
    assert endpoint.serves == 20
    for workers in (10, 1000):
        found = simulate(tasks=4000, workers=workers, costs=FREE, rng=Random(0), endpoint=endpoint)
        assert found.rate == pytest.approx(20, rel=0.01)
        assert found.busy["target"] == pytest.approx(1, rel=0.01)
        assert limit(bounds(FREE, workers, endpoint)) == "target"


def test_one_worker_and_a_fast_target_wait_for_its_answers():
    """A task is what the worker does itself, and an answer's time for every four of its questions."""
    endpoint = Endpoint(latency=0.5, at_once=4)
    found = simulate(tasks=50, workers=1, costs=FREE, rng=Random(0), endpoint=endpoint)
    assert found.seconds == pytest.approx(50 * (2 + 3 * 0.5))
    assert found.rate == pytest.approx(bounds(FREE, 1, endpoint)["workers"])


@pytest.mark.parametrize("workers", [1, 7, 64, 512])
@pytest.mark.parametrize("endpoint", [Endpoint(), Endpoint(per_second=300, latency=0.4)])
def test_nothing_is_faster_than_its_least_bound(workers, endpoint):
    """Whatever the sample, the rate is at most what the slowest part could do alone, give or take what was drawn."""
    found = simulate(tasks=20_000, workers=workers, costs=REAL, rng=Random(1), endpoint=endpoint)
    assert found.rate <= 1.02 * min(bounds(REAL, workers, endpoint).values())
    assert all(0 <= share <= 1.0001 for share in found.busy.values())


def test_more_workers_are_never_slower():
    """The same campaign with twice the workers takes no longer."""
    took = [simulate(tasks=5000, workers=2**i, costs=REAL, rng=Random(2)).seconds for i in range(11)]
    assert all(fewer >= 0.99 * more for fewer, more in pairwise(took))


def test_deaths_cost_their_time_and_no_attempt():
    """Every attempt is there; the time grows by the deaths, each half a task and a start on average."""
    sure = simulate(tasks=4000, workers=1, costs=REAL, rng=Random(3))
    found = simulate(tasks=4000, workers=1, costs=REAL, rng=Random(3), dying=0.1)
    assert (sure.deaths, found.attempts) == (0, sure.attempts)
    assert found.deaths == pytest.approx(4000 * 0.1 / 0.9, rel=0.2)
    assert found.seconds - sure.seconds == pytest.approx(found.deaths * (1.0 + 3.0), rel=0.1)


def test_one_seed_is_one_outcome():
    """The same seed gives the same campaign, and another seed another one."""
    once, again, other = (simulate(tasks=50, workers=5, costs=REAL, rng=Random(seed)) for seed in (4, 4, 5))
    assert once == again != other
