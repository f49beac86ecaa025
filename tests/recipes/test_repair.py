"""The repair of a student: how many different safety examples it sees, and that nothing else differs between doses.

pytest tests/recipes/test_repair.py
"""

import json

import pytest

from tests.recipes import toys
from trueline.core.config import ConfigError
from trueline.recipes.repair import Repair
from trueline.recipes.running import order, place
from trueline.recipes.sft import Sft
from trueline.recipes.studio import RecipeError, Studio

TRAIN = Sft(n=0, batch=96)


def repaired(folder, k):
    safety = toys.rows(folder / "safety.jsonl", [{"prompt": f"a {b}", "completion": "t t t"} for b in "bcdefghi"])
    run = place(order("blank", []), folder / f"run{k}")
    with run.lock():
        stage = Studio(run).make(
            "d7",
            Repair(
                start=toys.model(folder), safety=safety, benign=toys.conversations(folder), k=k, n=40, share=0.2, train=TRAIN
            ),
        )
    rows = [json.loads(line)["messages"] for line in (stage.folder / "demonstrations.jsonl").open(encoding="utf-8")]
    return stage, [row[0]["content"] for row in rows if row[-1]["content"] == "t t t"], rows


def test_doses_differ_in_different_examples_alone(tmp_path):
    """Two doses have as many rows and as many refusals; the larger one holds the smaller one's examples."""
    small, few, rows = repaired(tmp_path, 2)
    large, more, others = repaired(tmp_path, 8)
    assert len(rows) == len(others) == 40
    assert len(few) == len(more) == 8
    assert (len(set(few)), len(set(more))) == (2, 8)
    assert set(few) < set(more)
    assert small.result["examples"] == large.result["examples"] == 40
    assert (large.model / "config.json").is_file()


def test_a_dose_that_cannot_be_given_is_refused(tmp_path):
    """More different examples than rows for them, or than there are, are said with what there is."""
    with pytest.raises(ConfigError, match=r"k lies between 1 and n \* share"):
        Repair(start="d1", safety="s", benign="b", k=20, n=40, share=0.2)
    safety = toys.rows(tmp_path / "one.jsonl", [{"prompt": "a b", "completion": "t"}])
    run = place(order("blank", []), tmp_path / "run")
    with run.lock(), pytest.raises(RecipeError, match="has 1 safety examples, and 2 are asked for"):
        Studio(run).make(
            "d7", Repair(start=toys.model(tmp_path), safety=safety, benign=toys.conversations(tmp_path), k=2, n=40, share=0.2)
        )
