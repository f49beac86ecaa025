"""What is measured of campaigns on many workers is told as it was, and the simulation stands beside it."""

import json
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from benchmarks.scaling import CORES, NOWHERE, Costs, Endpoint, Round, attempts_of, checked, row, summary
from benchmarks.scaling_model import simulate
from benchmarks.scaling_work import Timed
from trueline.cluster.executor import Local

COSTS = Costs(tasks=(1.0, 2.0), attempts=10, handing=0.01, writing=0.001, closing=0.001, starting=3.0)


def told(target: str, workers: int, rate: float, endpoint: Endpoint = NOWHERE) -> Round:
    """A campaign of a hundred tasks that went at such a rate."""
    return Round(
        target=target, endpoint=endpoint, workers=workers, tasks=100, attempts=1000, seconds=1000 / rate, starting=3.0,
        closing=1.0, own=(1.0,), sample=None, foreign=CORES - 2.0,
    )  # fmt: skip


def test_what_was_simulated_is_off_by_nothing():
    """A campaign that was as fast as its simulation is off by nothing, one at half of that by as much again."""
    said = simulate(tasks=100, workers=2, costs=COSTS, rng=Random(0)).steady
    exact, slow = (checked([[told("own models", 2, rate)]], COSTS, COSTS)[0] for rate in (said, said / 2))
    assert exact["off"] == pytest.approx(0, abs=0.05)  # the median of many draws, beside one
    assert 1 + slow["off"] == pytest.approx(2 * (1 + exact["off"]))


def test_ratios_are_taken_within_a_round():
    """Where the whole second round was at half speed, two workers are still as many times one as in the first."""
    rounds = [[told("own models", n, n * speed) for n in (1, 2)] for speed in (40.0, 20.0)]
    one, two = checked(rounds, COSTS, COSTS)
    assert (one["ratio"], two["ratio"]) == (1, pytest.approx(2))
    assert two["least"] == two["largest"] == pytest.approx(2)


def test_a_row_names_the_limit_and_hides_what_has_none():
    """With own models there is no target's bound; with a slow endpoint it is the limit."""
    own, far = (row("t", 50, COSTS, e, 10_000, 0.0) for e in (NOWHERE, Endpoint(per_second=5, latency=1.0)))
    assert "target" not in own["bounds"]
    assert (far["limit"], far["bounds"]["target"]) == ("target", 5)
    assert far["rate"] == pytest.approx(5, rel=0.05)
    assert summary(COSTS)["tasks"] == {"n": 2, "mean": 1.5, "largest": 2.0}


def test_cores_that_others_took_are_not_promised():
    """Where other programs leave half a core, no more is predicted than half a core can do."""
    (busy,) = checked([[replace(told("own models", 2, 5.0), foreign=CORES - 0.5)]], COSTS, COSTS)
    assert busy["predicted"] == pytest.approx(0.5 * 10 / (1.5 + 0.01 + 0.01))


def test_a_timed_executor_gives_what_the_other_gives(tmp_path):
    """Results are the same and in order, and of each it is known who made it, until when, and how long that took."""
    results = [{"attempts": [number]} for number in range(3)]
    for number, result in enumerate(results):
        (tmp_path / str(number)).write_text(json.dumps(result))
    with Timed(Local(workers=1)) as executor:
        paths = [str(tmp_path / str(number)) for number in range(3)]
        assert list(executor.map("benchmarks.scaling_work:again", paths)) == results
        came = executor.came
    assert [done.result for done in came] == results
    assert len({done.worker for done in came}) == 1
    assert [attempts_of(done) for done in came] == [1, 1, 1]
    assert all(a.ended <= b.ended and b.seconds >= 0 for a, b in pairwise(came))
