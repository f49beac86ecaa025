"""Tests of evaluate/board.py: strengths, ties, top-m rankings, and the favour for what is shown first."""

import math
from dataclasses import replace
from random import Random

import pytest

from trueline.evaluate.board import board, stages
from trueline.evaluate.frontier import ELO, Game, elo
from trueline.evaluate.votes import Vote

WORTH = {"a": 1.0, "b": 0.5, "c": 0.0, "d": -1.5}


def simulated(n, k=4, top=9, bias=0.0, seed=0):
    """Votes of raters that follow Plackett and Luce, with a favour for the card shown first."""
    rng, votes, models = Random(f"board/{seed}"), [], {}
    for i in range(n):
        models[str(i)] = rng.sample(sorted(WORTH), k)
        shown = tuple(rng.sample(range(k), k))
        worth = [WORTH[m] + bias * (j == shown[0]) - math.log(rng.expovariate(1)) for j, m in enumerate(models[str(i)])]
        order = sorted(range(k), key=lambda j: -worth[j])
        ranks = tuple(order.index(j) + 1 if order.index(j) < top else None for j in range(k))
        votes.append(Vote(item=str(i), rater="r", ranks=ranks, shown=shown))
    return votes, models


def points(found):
    return {one.model: one.points.value for one in found.models}


def test_pairs_are_bradley_and_terrys():
    """On pairs with ties the board is what frontier.py fits."""
    votes, models = simulated(80, k=2)
    votes = [replace(v, shown=(), ranks=(1, 1) if i % 7 == 0 else v.ranks) for i, v in enumerate(votes)]
    won = {(1, 2): 1.0, (2, 1): 0.0, (1, 1): 0.5}
    games = [Game(prompt=v.item, first=models[v.item][0], second=models[v.item][1], won=won[v.ranks]) for v in votes]
    expected = {name: rate.value for name, rate in elo(games).items()}
    assert points(board(votes, models, resamples=10)) == pytest.approx(expected)


def test_two_models_are_told_apart_by_the_log_odds():
    """With 30 wins to 10 the difference is the log-odds, half a win added to each side."""
    votes = [Vote(item=str(i), rater="r", ranks=(1, 2) if i < 30 else (2, 1)) for i in range(40)]
    found = points(board(votes, dict.fromkeys(map(str, range(40)), ("a", "b")), resamples=10))
    assert (found["a"] - found["b"]) / ELO == pytest.approx(math.log(30.5 / 10.5))


def test_strengths_come_back_from_full_and_from_partial_rankings():
    """From 1,500 rankings of four, full and top-two, each strength lies in its interval or nearly."""
    for top in (9, 2):
        found = board(*simulated(1500, top=top))
        mean = sum(WORTH.values()) / len(WORTH)
        for one in found.models:
            assert one.points.value / ELO == pytest.approx(WORTH[one.model] - mean, abs=0.15)
            assert one.points.low < one.points.value < one.points.high
        assert [one.model for one in found.models] == ["a", "b", "c", "d"]


def test_a_favour_for_the_first_card_is_recovered_and_its_absence_too():
    """A simulated favour of 0.7 lies in the interval, which leaves zero out; without one the interval holds zero."""
    found = board(*simulated(800, bias=0.7))
    assert 0 < found.first.low < 0.7 < found.first.high
    assert found.first_wins.value == pytest.approx(1 / (1 + math.exp(-found.first.value)) - 0.5)
    none = board(*simulated(800, bias=0.0))
    assert none.first.low < 0 < none.first.high
    assert board(*(_unshown(simulated(50)))).first is None


def _unshown(made):
    votes, models = made
    return [replace(vote, shown=()) for vote in votes], models


def test_relabelling_and_permuting_change_nothing():
    """Other names, items in another order of cards, and votes in another order give the same strengths and the same bias."""
    votes, models = simulated(60, bias=0.5)
    names = {"a": "z", "b": "x", "c": "w", "d": "y"}
    turned = [replace(v, ranks=v.ranks[::-1], shown=tuple(len(v.ranks) - 1 - i for i in v.shown)) for v in reversed(votes)]
    first = board(votes, models, resamples=5)
    second = board(turned, {k: [names[m] for m in reversed(v)] for k, v in models.items()}, resamples=5)
    assert {names[m]: p for m, p in points(first).items()} == pytest.approx(points(second))
    assert first.first.value == pytest.approx(second.first.value)


def test_all_tied_says_that_all_are_equal():
    """Rankings in which everything is tied leave every strength at zero, and nothing ranked leaves no board."""
    models = dict.fromkeys(map(str, range(9)), ("a", "b", "c"))
    votes = [Vote(item=str(i), rater="r", ranks=(1, 1, 1)) for i in range(9)]
    assert points(board(votes, models, resamples=5)) == pytest.approx({"a": 0, "b": 0, "c": 0}, abs=1e-9)
    assert board([replace(v, ranks=(None,) * 3) for v in votes], models) is None


def test_models_that_never_met_are_refused():
    """Nothing compares two groups of models that no item holds together."""
    votes = [Vote(item=i, rater="r", ranks=(1, 2)) for i in "uv"]
    with pytest.raises(ValueError, match="nothing compares a with c, d"):
        board(votes, {"u": ("a", "b"), "v": ("c", "d")})


def test_ties_are_the_mean_over_their_orders():
    """For three tied cards the stages weigh as the mean of the six orders does: one choice of three, one of each pair left."""
    weights = {}
    for left, may, weight in stages((1, 1, 1)):
        assert left == may
        weights[len(left)] = weights.get(len(left), 0) + weight
    assert weights == {3: pytest.approx(1), 2: pytest.approx(1)}
