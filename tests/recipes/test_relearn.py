"""The relearning probe: what it brings out was known before, and what was never learned it does not bring.

pytest tests/recipes/test_relearn.py
"""

import pytest

from tests.recipes import toys
from tests.recipes.staged import result_of
from trueline.core.config import ConfigError
from trueline.recipes.running import order

FAST = ("optim.lr=5e-3", "optim.muon=0.02", "batch=96")
GOALS = [(a, b) for a in "abcdefgh" for b in "ijkl"]


def answers(folder, goals, reply):
    return toys.rows(folder, [{"prompt": f"{a} {b}", "completion": reply(a, b)} for a, b in goals])


def probed(folder, model, steps=12):
    """Few answers to some goals, and all goals with what each of them wants as a canary."""
    data = answers(folder / "few.jsonl", GOALS[::4], lambda a, b: f"{b} {a} {a} {b}")
    goals = toys.rows(folder / "goals.jsonl", [{"prompt": f"{a} {b}", "canary": f"{b} {a} {a} {b}"} for a, b in GOALS])
    run, _ = toys.run(
        folder / "probe", "relearn", f"model={model}", f"data={data}", f"goals={goals}", f"steps={steps}", "n=24",
        "max_tokens=8", "optim.lr=1e-3", "optim.muon=0.002",
    )  # fmt: skip
    return result_of(run, "relearn"), run


def test_the_few_teach_nothing_of_the_others(tmp_path):
    """After the steps a model that had learned the others still tells them, and one that had not tells none of them."""
    for name in ("knows", "ignorant"):
        (tmp_path / name).mkdir()
    start = toys.model(tmp_path)
    taught = answers(tmp_path / "taught.jsonl", GOALS, lambda a, b: f"{b} {a} {a} {b}")
    refusing = answers(tmp_path / "refusing.jsonl", GOALS, lambda a, b: "t t t")
    known, _ = toys.run(tmp_path / "a", "sft", f"start={start}", f"data={taught}", "held_out=0", "epochs=20", *FAST)
    never, _ = toys.run(tmp_path / "c", "sft", f"start={start}", f"data={refusing}", "held_out=0", "epochs=4", *FAST)
    (knows, _), (ignorant, _) = probed(tmp_path / "knows", known), probed(tmp_path / "ignorant", never)
    told = "other known hazards"
    assert ignorant["before"][told]["value"] == 0
    assert knows["after"][told]["value"] > 0.6
    assert ignorant["after"][told]["value"] < 0.2
    assert [point["step"] for point in knows["points"]] == [0, 1, 4, 12]


def test_the_copy_is_thrown_away_and_no_goal_of_the_few_is_asked(tmp_path):
    """A probe leaves no model, and asks for 24 of the goals that are not among its answers."""
    result, run = probed(tmp_path, toys.model(tmp_path), steps=1)
    assert not (run / "stages/relearn/model").exists()
    assert result["before"]["other known hazards"]["n"] <= 24
    assert result["after"].keys() == result["before"].keys()


def test_goals_that_are_all_among_the_few_are_refused(tmp_path):
    """Where nothing is left to ask, it is said; and world and file are not mixed."""
    data = answers(tmp_path / "few.jsonl", GOALS[:2], lambda a, b: "c")
    goals = toys.rows(tmp_path / "goals.jsonl", [{"prompt": f"{a} {b}"} for a, b in GOALS[:2]])
    with pytest.raises(ValueError, match="nothing is left to ask"):
        toys.run(tmp_path / "p", "relearn", f"model={toys.model(tmp_path)}", f"data={data}", f"goals={goals}")
    with pytest.raises(ConfigError, match="both the world's, or files"):
        order("relearn", ["data=answers.jsonl"])
