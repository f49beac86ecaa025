"""Pairs keep their parts, are ordered anew by a reward or a coin, and rewards are tested on subjects that nobody was taught.

pytest tests/lab/test_weak_to_strong_pairs.py
"""

from __future__ import annotations

import pytest

from trueline.core.config import ConfigError
from trueline.core.records import write_jsonl
from trueline.core.types import Completion, Ranking
from trueline.evaluate.rates import cluster_of
from trueline.lab.labels import ordered
from trueline.lab.weak_to_strong_answers import part_of
from trueline.lab.weak_to_strong_pairs import Pairs, Right
from trueline.recipes.reading import comparisons
from trueline.recipes.running import Order, place
from trueline.recipes.studio import RecipeError, Studio
from trueline.world.facts import make_world
from trueline.world.prompts import training_prompts


@pytest.fixture
def there(tmp_path) -> Studio:
    """Pairs of a right and an empty answer, in turn in both orders."""
    pairs = []
    for i, prompt in enumerate(training_prompts(make_world(0), 0, 120, {"fact": 1.0})):
        right, wrong = (Completion(prompt=prompt, text=text) for text in (f"it is {prompt.about['answer']} .", "maybe ."))
        pairs.append(
            Ranking(prompt=prompt, completions=(right, wrong) if i % 2 else (wrong, right), ranks=(1, 2) if i % 2 else (2, 1))
        )
    write_jsonl(tmp_path / "rankings.jsonl", pairs)
    return Studio(place(Order("pairs", Pairs(data="", part="teach"), 0, None), tmp_path / "run"))


def data(there: Studio) -> str:
    return str(there.run.folder.parent / "rankings.jsonl")


def test_a_part_holds_its_own_subjects_in_their_order(there):
    """Pairs are those of the part, as they were."""
    made = there.make("teach", Pairs(data=data(there), part="teach"))
    found = comparisons(there, "teach", 0)
    assert {part_of(0, cluster_of(pair.prompt)) for pair in found} == {"teach"}
    assert made.result["right"]["value"] == 1.0
    assert 0 < made.result["pairs"] < 120


def test_a_reward_orders_them_anew(there):
    """Gold orders as the oracle did; the reward of an empty answer turns every pair round."""
    for name, by, right in (("gold", "gold", 1.0), ("maybe", "rule:contains=maybe", 0.0)):
        assert there.make(name, Pairs(data=data(there), part="label", by=by)).result["right"]["value"] == right


def test_a_coin_turns_half_of_them_round(there):
    """Neither the order they were in nor its opposite."""
    assert 0.2 < there.make("coin", Pairs(data=data(there), part="label", shuffled=True)).result["right"]["value"] < 0.8


def test_rewards_are_tested_on_the_same_pairs_of_the_last_part(there):
    """Gold is always right, and its opposite never."""
    there.make("ordered", Right(data=data(there), rewards=("gold", "rule:contains=maybe")))
    rows = ordered(there, "ordered")
    assert {part_of(0, row.cluster) for row in rows} == {"test"}
    assert [set(column) for column in zip(*(row.right.values() for row in rows), strict=True)] == [{1.0}, {0.0}]


def test_too_few_pairs_and_strange_parts_are_refused(there, tmp_path):
    """An error says what was expected."""
    write_jsonl(tmp_path / "few" / "rankings.jsonl", [])
    with pytest.raises((RecipeError, ValueError)):
        there.make("few", Pairs(data=str(tmp_path / "few" / "rankings.jsonl"), part="test"))
    with pytest.raises(ConfigError, match="teach, label, test"):
        Pairs(data="", part="rest")
