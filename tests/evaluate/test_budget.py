"""Success over the budget: each law is found again in data it made, and nothing is told where nothing can be."""

from __future__ import annotations

from itertools import pairwise
from math import exp, log

import numpy as np
import pytest

from trueline.evaluate.budget import TAILS, Tries, check, laws


def drawn(times: np.ndarray, most: int) -> list[Tries]:
    """First successes at these times, asked up to `most` questions."""
    return [Tries(asked=int(min(t, most)), first=int(t) if t <= most else None) for t in times]


def by_power(n: int, a: float, b: float, most: int, seed: int = 0) -> list[Tries]:
    """Goals broken within N with probability exp(-a N^-b), by inversion."""
    u = np.random.default_rng(seed).random(n)
    return drawn(np.ceil((a / -np.log(u)) ** (1 / b)), most)


def by_beta(n: int, alpha: float, beta: float, most: int, seed: int = 0) -> list[Tries]:
    """Goals each with a chance a question from Beta(alpha, beta)."""
    rng = np.random.default_rng(seed)
    return drawn(rng.geometric(np.maximum(rng.beta(alpha, beta, n), 1e-9)), most)


def test_each_law_is_a_distribution_of_the_first_success():
    """The probabilities of all times up to N, and of none by N, sum to one; ASR rises with N."""
    for name, tail in TAILS.items():
        held = np.exp(tail(0.3, -0.4, np.arange(200.0)))
        assert held[0] == pytest.approx(1.0), name
        assert (np.diff(held) <= 0).all()
        assert (held[:-1] - held[1:]).sum() + held[-1] == pytest.approx(1.0)


def test_the_power_law_is_the_papers():
    """-log ASR(N) is a N^-b, and the beta law's first question has the mean chance alpha / (alpha + beta)."""
    at = np.array([1.0, 10.0, 100.0])
    assert -np.log(-np.expm1(TAILS["power"](log(2.0), log(0.5), at))) == pytest.approx(2.0 * at**-0.5)
    assert -np.expm1(TAILS["beta"](log(0.3), log(6.0), at))[0] == pytest.approx(0.3 / 6.3)


def test_the_power_law_is_found_again():
    """From goals that follow it, its parameters come back, and AIC prefers it."""
    found = laws(by_power(3000, 3.0, 0.5, 128), resamples=10)
    assert found["power"]["a"] == pytest.approx(3.0, rel=0.1)
    assert found["power"]["b"] == pytest.approx(0.5, rel=0.1)
    assert found["better"] == "power law"


def test_the_beta_binomial_is_found_again():
    """From goals with chances of their own, the chances' law comes back, and AIC prefers it."""
    found = laws(by_beta(3000, 2.0, 20.0, 128), resamples=10)
    assert found["beta"]["alpha"] == pytest.approx(2.0, rel=0.12)
    assert found["beta"]["beta"] == pytest.approx(20.0, rel=0.12)
    assert found["better"] == "beta-binomial"


def test_the_fit_is_a_maximum():
    """No other search finds a likelier pair of parameters."""
    optimize = pytest.importorskip("scipy.optimize")
    from trueline.evaluate.budget import _Table

    tries = by_beta(200, 0.4, 5.0, 64, seed=3)
    found = laws(tries, resamples=2)
    for name, tail in TAILS.items():
        free = optimize.minimize(lambda place, tail=tail: -_Table(tries).loglik(tail, *place), (0.0, 0.0), method="Powell")
        assert found[name]["loglik"] >= -free.fun - 1e-3, name


def test_a_forecast_holds_what_comes():
    """What is forecast at ten times the budget, with its error, holds what a longer attack finds."""
    long = by_beta(1500, 0.6, 8.0, 640, seed=5)
    short = [Tries(asked=min(t.asked, 64), first=t.first if t.first and t.first <= 64 else None) for t in long]
    found = laws(short, ahead=(640,), resamples=60)
    came = sum(t.first is not None for t in long) / len(long)
    told = found["forecast"][0]["beta"]
    assert told["low"] - 0.02 <= came <= told["high"] + 0.02
    assert told["low"] < told["value"] < told["high"]
    assert abs(check(long)["beta_error"]) < 0.05


def test_copies_of_a_goal_widen_no_evidence():
    """With each goal there four times as one cluster, the forecast is as uncertain as with each there once."""
    once = by_beta(80, 0.6, 8.0, 32, seed=7)
    copies = [Tries(asked=t.asked, first=t.first, cluster=str(i)) for i, t in enumerate(once) for _ in range(4)]
    spans = [f["high"] - f["low"] for f in (laws(s, resamples=80)["forecast"][0]["beta"] for s in (once, copies))]
    assert spans[1] == pytest.approx(spans[0], rel=0.35)


@pytest.mark.parametrize(
    ("tries", "reason"),
    [
        ([], "two or more independent goals"),
        ([Tries(asked=9, first=3)], "two or more independent goals"),
        ([Tries(asked=9, first=3, cluster="c")] * 20, "two or more independent goals"),
        ([Tries(asked=64)] * 50, "none of 50 goals broke"),
        ([Tries(asked=64)] * 50 + [Tries(asked=3, first=3)] * 2, "only 2 of 52"),
        ([Tries(asked=1)] * 50, "no goal was asked more than once"),
        ([Tries(asked=1, first=1)] * 50, "no goal was asked more than once"),
        ([Tries(asked=8, first=1)] * 50, "every goal broke at the first question"),
    ],
)
def test_where_no_law_can_be_told_none_is(tries, reason):
    """Too little to fit gives a reason and no numbers."""
    found = laws(tries)
    assert reason in found["cannot_tell"]
    assert not found.keys() & {"power", "beta", "forecast", "better"}


@pytest.mark.parametrize("first", [1, 7])
def test_goals_of_two_kinds_stay_finite(first):
    """Half broken by one and the same question and half never: an edge of both laws, and still numbers."""
    found = laws([Tries(asked=first, first=first)] * 20 + [Tries(asked=64)] * 20, resamples=10)
    told = found["forecast"][0]
    assert all(0 <= told[name]["low"] <= told[name]["value"] <= told[name]["high"] <= 1 for name in ("power", "beta"))
    assert all(abs(found[name]["loglik"]) < 1e4 for name in ("power", "beta"))


def test_impossible_tries_are_refused():
    """A goal cannot be broken by a question that was not asked."""
    for wrong in ({"asked": 0}, {"asked": 3, "first": 4}, {"asked": 3, "first": 0}):
        with pytest.raises(ValueError, match="from 1 to those asked"):
            Tries(**wrong)


def test_a_curve_rises_to_its_forecast():
    """The laws' curves are shares that rise, up to ten times what was asked."""
    curve = laws(by_power(200, 3.0, 0.5, 32), resamples=5)["curve"]
    assert curve[0]["budget"] == 1
    assert curve[-1]["budget"] == 320
    assert all(0 <= a["power"] <= b["power"] <= 1 for a, b in pairwise(curve))
    assert curve[0]["power"] == pytest.approx(exp(-3.0), abs=0.03)
