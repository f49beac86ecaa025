"""Parts share nobody; labels are the oracle's, a model's, or shuffled within their kind.

pytest tests/lab/test_weak_to_strong_answers.py
"""

from __future__ import annotations

import json

import pytest

from tests.recipes.toys import world_model
from trueline.core.config import ConfigError
from trueline.evaluate.rates import cluster_of
from trueline.lab.weak_to_strong_answers import Answers, Questions, answered, questions
from trueline.recipes.running import Order, place
from trueline.recipes.studio import Studio
from trueline.world.facts import make_world

PARTS = ("teach", "label", "test")


def studio(folder) -> Studio:
    return Studio(place(Order("answers", Questions(part="teach"), 0, None), folder / "run"))


def replies(stage) -> list[str]:
    rows = (stage.folder / "demonstrations.jsonl").read_text().splitlines()
    return [json.loads(row)["messages"][-1]["content"] for row in rows]


def test_parts_share_nobody_and_leave_nobody_out():
    """Who or what is asked about belongs to one part, and other seeds part the world otherwise."""
    found = [{cluster_of(prompt) for prompt in questions(make_world(0), 0, part, 200)} for part in PARTS]
    assert sum(map(len, found)) == len(set.union(*found))
    assert all(len(part) >= 10 for part in found)
    assert len(set.union(*found)) == 60
    assert questions(make_world(0), 0, "test", 20) == questions(make_world(0), 0, "test", 50)[:20]
    assert {cluster_of(prompt) for prompt in questions(make_world(0), 1, "test", 200)} != found[2]


def test_the_oracle_is_always_right_and_a_random_model_is_not(tmp_path):
    """Labels of the oracle are true; those of a random model are its own."""
    there = studio(tmp_path)
    true = there.make("true", Questions(part="label", n=40))
    own = there.make("own", Questions(part="label", n=40, by=world_model(tmp_path), max_tokens=6))
    assert true.result["right"]["value"] == 1.0
    assert own.result["right"]["value"] < 0.5
    assert replies(true) != replies(own)


def test_shuffled_answers_are_the_same_answers_to_other_questions(tmp_path):
    """What is said stays what it was, all in all; what it is said to does not."""
    there = studio(tmp_path)
    true, shuffled = (there.make(str(on), Questions(part="label", n=200, shuffled=on)) for on in (False, True))
    assert sorted(replies(true)) == sorted(replies(shuffled))
    assert 0 < shuffled.result["right"]["value"] < 0.4


def test_answers_are_greedy_and_kept_by_question(tmp_path):
    """The same model says the same twice; a random one is right about nothing much."""
    there, model = studio(tmp_path), world_model(tmp_path)
    for name in ("one", "two"):
        there.make(name, Answers(model=model, n=20, max_tokens=4))
    assert answered(there, "one") == answered(there, "two")
    assert [row.id for row in answered(there, "one")] == [p.id for p in questions(there.world, 0, "test", 20)]


def test_settings_are_refused_before_work_starts():
    """Parts by name, and enough questions for an interval."""
    with pytest.raises(ConfigError, match="teach, label, test"):
        Questions(part="all")
    with pytest.raises(ConfigError, match="at least 10"):
        Answers(model="x", n=5)
