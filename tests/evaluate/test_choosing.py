"""Tests of evaluate/choosing.py: what an answer tells, and which items that puts first."""

from random import Random

import numpy as np
import pytest

from trueline.evaluate.choosing import estimate, features_of, information, priorities
from trueline.evaluate.votes import Vote


def features(models):
    return features_of(models, {item: [""] * len(said) for item, said in models.items()}, words=0)


def test_what_is_known_tells_nothing_and_what_is_not_tells_the_more():
    """Without variance no answer tells anything; it tells more the less is known, the nearer to one half, and below log 2."""
    assert information(np.array([0.0, 2.0]), np.zeros(2)) == pytest.approx([0, 0], abs=1e-12)
    more = information(np.zeros(4), np.array([0.1, 1.0, 4.0, 50.0]))
    assert list(more) == sorted(more)
    assert more[-1] < np.log(2)
    near, far = information(np.array([0.0, 3.0]), np.array([0.3, 0.3]))
    assert near > far


def test_the_estimate_orders_models_as_they_won():
    """Who won more has the larger weight, and what was asked more often is known better."""
    models = {f"{i}": ("a", "b") for i in range(30)} | {"x": ("a", "c")}
    votes = [Vote(item=str(i), rater="r", ranks=(1, 2) if i % 5 else (2, 1)) for i in range(30)]
    found = estimate(votes, features(models))
    assert found.weights[0] > found.weights[1]
    assert found.covariance[0, 0] < found.covariance[2, 2]


def test_items_of_which_the_least_is_known_come_first():
    """After many answers to a against b, an item with the unknown c comes first, and the priorities fall from n to 1."""
    models = {f"{i}": ("a", "b") for i in range(30)} | {"new": ("a", "c"), "old": ("a", "b")}
    votes = [Vote(item=str(i), rater="r", ranks=(1, 2) if i % 2 else (2, 1)) for i in range(30)]
    assert priorities(["old", "new"], votes, features(models), n=2) == {"new": 2.0, "old": 1.0}
    assert priorities(["old", "new"], votes, features(models), n=1) == {"new": 1.0}
    assert priorities([], votes, features(models), n=3) == {}


def test_the_next_choice_knows_what_the_one_before_will_tell():
    """Of three items alike and one on other models, the first two chosen are not alike."""
    models = {"u": ("a", "b"), "v": ("a", "b"), "w": ("a", "b"), "z": ("c", "d")}
    first_two = list(priorities(["u", "v", "w", "z"], [], features(models), n=2))
    assert "z" in first_two


def test_words_tell_apart_what_one_model_says():
    """With words, who is preferred for a word is expected to win with it on another item."""
    rng = Random(0)
    texts = {str(i): [f"good {rng.random()}", f"bad {rng.random()}"] for i in range(40)}
    found = features_of(dict.fromkeys(texts, ("m", "m")), texts)
    votes = [Vote(item=str(i), rater="r", ranks=(1, 2)) for i in range(30)]
    weights = estimate(votes, found).weights
    assert all((found.rows[str(i)][0] - found.rows[str(i)][1]) @ weights > 0 for i in range(30, 40))
