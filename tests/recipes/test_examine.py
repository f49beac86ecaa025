"""Answers that are asked once and kept, as they were judged.

pytest tests/recipes/test_examine.py
"""

import pytest

from tests.recipes import toys
from trueline.core.config import ConfigError
from trueline.evaluate.inheritance import Told
from trueline.recipes.examine import Asking, Examine, answers_of
from trueline.recipes.examined import _share, _sorts
from trueline.recipes.running import order, place
from trueline.recipes.studio import Studio


def test_answers_are_kept_as_they_were_judged(tmp_path):
    """A stage of answers can be read again: one row a question, with what it is worth; the same seed answers alike."""
    goals = toys.rows(tmp_path / "goals.jsonl", [{"prompt": f"a {b}", "canary": "q r s"} for b in "bcde"])
    benign = toys.rows(tmp_path / "benign.jsonl", [{"prompt": f"a {b}"} for b in "fgh"])
    asked = Examine(model=toys.model(tmp_path), ask=Asking(goals=goals, benign=benign, max_tokens=5))
    kept = []
    for name in ("one", "two"):
        run = place(order("blank", []), tmp_path / name)
        with run.lock():
            studio = Studio(run)
            stage = studio.make("examine/model", asked)
        kept.append(answers_of(studio, "examine/model"))
    assert kept[0] == kept[1]
    assert [one.kind for one in kept[0]] == ["withheld"] * 4 + ["answered"] * 3
    assert stage.result["answers"] == 7
    assert stage.result["withheld"]["value"] == 1.0


def test_half_a_world_is_refused():
    """Goals of the world beside a file of benign prompts have no judge in common."""
    with pytest.raises(ConfigError, match="both 'world', or files"):
        Asking(benign="benign.jsonl")


def test_categories_that_are_large_enough_are_shown_apart():
    """A mean over all requests hides that one category is refused: each of ten or more has a row, where there are several."""

    def told(name, kind, good):
        made = {"level": "", "gold": None, "stance": "none", "asked": "", "reply": "", "cluster": "c"}
        return [Told(item=f"{name}{i}", slice=name, kind=kind, good=good, **made) for i in range(12)]

    few = told("rare", "answered", 1.0)[:3]
    found = [*told("bombs", "withheld", 1.0), *told("kites", "answered", 0.0), *told("tales", "answered", 1.0), *few]
    assert _sorts(found) == [("withheld", "bombs"), ("answered", "kites"), ("answered", "tales")]
    assert _share(found, "answered", "kites").value == 0.0
    assert _sorts([*told("a", "withheld", 1.0), *told("b", "answered", 1.0)]) == []
