"""Strengths from games: identities of Bradley-Terry, and what must not change them.

pytest tests/evaluate/test_frontier.py
"""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest

from trueline.evaluate.frontier import ELO, Game, elo, rounds, win_rate


def _drawn(strengths: dict[str, float], prompts: int, seed: int = 0) -> list[Game]:
    """Games that go as often as these strengths say."""
    rng, names = Random(seed), sorted(strengths)
    return [
        Game(prompt=f"p{i}", first=a, second=b, won=float(rng.random() < 1 / (1 + math.exp(strengths[b] - strengths[a]))))
        for i in range(prompts)
        for a in names
        for b in names
        if a < b
    ]


@pytest.mark.parametrize(("won", "lost", "prior"), [(30, 10, 0.0), (30, 10, 0.5), (12, 0, 0.5), (1, 99, 0.0)])
def test_two_models_differ_by_the_log_odds_of_their_games(won: int, lost: int, prior: float) -> None:
    """For two models the strengths differ by log((wins + prior) / (losses + prior)), on Elo's scale."""
    games = [Game(prompt=f"p{i}", first="a", second="b", won=float(i < won)) for i in range(won + lost)]
    found = elo(games, prior=prior, resamples=20)
    assert found["a"].value - found["b"].value == pytest.approx(ELO * math.log((won + prior) / (lost + prior)))
    assert found["a"].n == found["b"].n == won + lost


def test_ten_to_one_is_four_hundred_points() -> None:
    """Elo's scale: odds of ten to one are 400 points."""
    games = [Game(prompt=f"p{i}", first="a", second="b", won=float(i < 10)) for i in range(11)]
    found = elo(games, prior=0.0, resamples=2)
    assert found["a"].value - found["b"].value == pytest.approx(400)


def test_equal_models_tie() -> None:
    """Models whose replies are worth the same have the strength zero, with an interval of no width: every game is a draw."""
    found = elo(rounds({f"p{i}": {"a": i / 7, "b": i / 7, "c": i / 7} for i in range(20)}))
    assert [(r.value, r.low, r.high) for r in found.values()] == [pytest.approx((0, 0, 0), abs=1e-6)] * 3


def test_order_and_direction_change_nothing() -> None:
    """Games in another order, and told from the other side, give the same strengths and the same intervals."""
    games = _drawn({"a": 0.5, "b": 0.0, "c": -0.7}, 40)
    turned = [replace(g, first=g.second, second=g.first, won=1 - g.won) for g in reversed(games)]
    for one, other in zip(elo(games).values(), elo(turned).values(), strict=True):
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_strengths_are_found_again() -> None:
    """From many games the strengths that made them come back, each within its interval, and their mean is zero."""
    truth = {"a": 0.8, "b": 0.1, "c": -0.9}
    found = elo(_drawn(truth, 3000))
    assert all(rate.low < ELO * truth[name] < rate.high for name, rate in found.items())
    assert sum(rate.value for rate in found.values()) == pytest.approx(0, abs=1e-6)


def test_the_interval_counts_prompts_and_not_games() -> None:
    """Games that are only copies of one another narrow no interval: the same prompts played four times are the same prompts."""
    games = _drawn({"a": 0.4, "b": 0.0}, 60)
    once, copied = elo(games, prior=0.0)["a"], elo(games * 4, prior=0.0)["a"]
    assert copied.high - copied.low == pytest.approx(once.high - once.low)
    assert copied.n == 4 * once.n


def test_a_model_that_always_won_is_finite() -> None:
    """The prior holds a model that lost nothing at a finite strength, above the others and with an interval."""
    found = elo(rounds({f"p{i}": {"best": 2.0, "b": 1.0, "c": 1.0} for i in range(30)}))
    assert 0 < found["best"].low <= found["best"].value < 2000


def test_models_that_never_met_are_refused() -> None:
    """Two pairs without a game between them have no common scale, and the error names them."""
    with pytest.raises(ValueError, match="nothing compares a with c, d"):
        elo([Game(prompt="p", first="a", second="b", won=1.0), Game(prompt="p", first="c", second="d", won=1.0)])


def test_the_win_rate_counts_draws_half() -> None:
    """One win, one loss and two draws are one half, from either side; models that never met have none."""
    games = [Game(prompt=f"p{i}", first="a", second="b", won=w) for i, w in enumerate((1.0, 0.0, 0.5, 0.5))]
    here, there = win_rate(games, "a", "b"), win_rate(games, "b", "a")
    assert here is not None
    assert there is not None
    assert (here.value, here.n, there.value) == (0.5, 4, 0.5)
    assert win_rate(games, "a", "c") is None
