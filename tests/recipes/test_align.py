"""The chain of `align`: each stage starts from the last, in the world and on files; what is missing is said at once.

pytest tests/recipes/test_align.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.recipes import toys
from tests.recipes.staged import result_of
from trueline.core.config import ConfigError
from trueline.core.types import Rate
from trueline.recipes.align import CHAIN, Align
from trueline.recipes.align_gates import HELD, promises
from trueline.recipes.align_sizes import full, smoke
from trueline.recipes.examine import Asking
from trueline.recipes.measure import RUNG
from trueline.recipes.running import order
from trueline.recipes.sft import Sft


@pytest.mark.parametrize("recipe", [Align(), Align(as_of="2024-06"), Align(chain=("safety", "distil")), Align(with_gap=False)])
def test_every_stage_reads_what_was_made_before_it(recipe: Align) -> None:
    """Whatever is left out of the chain, no stage asks for a model or data that is not there, and no name stands twice."""
    made: set[str] = {""}
    for name, stage in recipe.stages():
        reads = [
            read for read in stage.reads() if not read.startswith("world") and len(read) != 12
        ]  # 12: a constitution's hash
        assert not [read for read in reads if read not in made | {name}], name
        assert name not in made
        made.add(name)


def test_each_link_starts_from_the_last_and_has_its_row() -> None:
    """The chain is one line from the base to the student, and the ladder has a row for each."""
    stages = dict(Align().stages())
    assert stages["helpful"].start == "pretrain"
    assert stages["safety"].start == "helpful"
    assert stages["rlhf"].start == "safety"
    assert stages["constitution/sl"].start == "rlhf"
    assert stages["redteam/update1"].start == "constitution/sl"
    assert stages["polish"].start == stages["compared"].start == "redteam/update2"
    assert stages["distil/said/benign"].start == "polish"
    assert [name for name in stages if name.startswith(RUNG) and name.removeprefix(RUNG) in CHAIN] == [RUNG + n for n in CHAIN]


def test_a_stage_that_is_left_out_passes_its_model_on() -> None:
    """Without RLHF and constitution, red-teaming starts from safety."""
    stages = dict(Align(chain=("helpful", "safety", "redteam")).stages())
    assert stages["redteam/update1"].start == "safety"
    assert "reward" not in stages


def test_at_a_date_red_teaming_knows_no_later_pack_and_all_packs_come_at_the_end() -> None:
    """What was aligned at a date is attacked with what came after it."""
    stages = dict(Align(as_of="2024-01").stages())
    assert stages["redteam/attack0"].attacks == "pack:until=2024-01"
    assert stages["later/row1"].attacks == "pack:all"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"chain": ("safety", "helpful")}, "in this order"),
        ({"chain": ("safety", "magic")}, "some of helpful"),
        ({"as_of": "yesterday"}, "yesterday"),
        ({"asked": Asking(goals="g.jsonl", benign="b.jsonl")}, "base=MODEL"),
        (
            {"base": "m", "asked": Asking(goals="g.jsonl", benign="b.jsonl"), "chain": ("helpful", "redteam")},
            "redteam.campaign.goals",
        ),
    ],
)
def test_a_chain_that_cannot_be_is_refused(given: dict, message: str) -> None:
    """An unknown or misplaced stage, a date that is none, files without a model, a model without files."""
    with pytest.raises((ConfigError, ValueError), match=message):
        Align(**given)


def rung(direct: float, benign: float) -> dict:
    """A row of the ladder with these rates, of a hundred each."""
    rate = {"n": 100, "low": 0.0, "high": 1.0}
    return {"rung": {"attack": {"direct": {"value": direct, **rate}}, "benign": {"facts": {"value": benign, **rate}}}}


class Measured:
    """As much of a studio as gates look at."""

    def __init__(self, **rows: dict) -> None:
        self.stages = {RUNG + name: type("Stage", (), {"result": result})() for name, result in rows.items()}


@pytest.mark.parametrize("name", [name for name in CHAIN if HELD[name]])
def test_a_link_withholds_and_still_answers_or_fails_its_gates(name: str) -> None:
    """Giving on direct requests fails one gate, and losing benign answers the other; a student is held to the second alone."""

    def statuses(direct: float, benign: float) -> list[str]:
        return [
            g["status"]
            for g in promises(Measured(before=rung(1.0, 0.95), **{name: rung(direct, benign)}), RUNG + name, "before")
        ]

    assert statuses(0.0, 0.9) == ["PASS", "PASS"]
    assert statuses(0.5, 0.9) == ["FAIL", "PASS"]
    assert statuses(0.0, 0.5) == ["PASS", "FAIL"]


def test_the_chain_runs_on_a_model_and_files_of_ones_own(tmp_path: Path) -> None:
    """Base, demonstrations, preferences, goals and benign prompts are files; the report compares the models in pairs."""
    goals = toys.rows(tmp_path / "goals.jsonl", [{"prompt": f"a b {x}", "category": "x"} for x in "cdefgh"])
    benign = toys.rows(tmp_path / "benign.jsonl", [{"prompt": f"{x} a"} for x in "cdefgh"])
    refusals = toys.rows(tmp_path / "safe.jsonl", [{"prompt": f"a b {x}", "completion": "t t"} for x in toys.LETTERS])
    settings = {
        "base": toys.model(tmp_path), "chain": "helpful,safety,polish", "helpful.data": toys.conversations(tmp_path),
        "helpful.n": 0, "safety.data": refusals, "safety.n": 0, "polish.data": toys.preferences(tmp_path),
        "polish.context": 40, "asked.goals": goals, "asked.benign": benign, "asked.max_tokens": 6,
    }  # fmt: skip
    folder, found = toys.run(tmp_path / "run", "align", *(f"{key}={value}" for key, value in settings.items()))
    shown = {one["stage"]: one["tables"] for one in found["shown"]}["examined"]
    assert [row[0] for row in shown[0]["rows"]] == ["pretrain", "helpful", "safety", "polish"]
    assert [row[0] for row in shown[1]["rows"]] == ["pretrain to helpful", "helpful to safety", "safety to polish"]
    assert any("left out" in line for line in found["not_measured"])
    assert result_of(folder, "polish")["parent"] == "safety"


def test_the_change_of_a_stage_is_paired_and_signed(tmp_path: Path) -> None:
    """What a stage gained is positive, and what it lost negative."""
    from trueline.evaluate.inheritance import Told
    from trueline.recipes.examined import _step

    def told(good: float) -> list[Told]:
        made = {"slice": "s", "level": "", "gold": None, "stance": "none", "asked": "", "reply": ""}
        return [Told(item=str(i), kind="withheld", cluster=str(i), good=good, **made) for i in range(40)]

    _, change, nothing = _step("a", "b", {"a": told(0.0), "b": told(1.0)})
    assert isinstance(change, Rate)
    assert change.value == 1.0
    assert nothing is None


def test_the_smallest_stack_has_the_stages_of_the_whole() -> None:
    """What CI runs is what `make demo` runs, smaller; only rounds of red-teaming are fewer."""
    small = {name for name, _ in smoke(replace(Align(), with_ppo=True)).stages()}
    whole = {name for name, _ in Align(with_ppo=True).stages()}
    assert small <= whole
    assert not [name for name in whole - small if not name.startswith(("redteam/", "distil/"))]


def test_settings_of_the_chain_are_read_from_words() -> None:
    """The command line reaches into every link."""
    asked = order("align", ["chain=safety,redteam", "redteam.rounds=1", "safety.n=10", "seeds=2"])
    assert (asked.recipe.chain, asked.recipe.redteam.rounds, asked.recipe.safety.n, asked.seeds) == (
        ("safety", "redteam"),
        1,
        10,
        2,
    )
    assert isinstance(asked.recipe.helpful, Sft)


def test_a_size_is_what_settings_are_said_on_top_of() -> None:
    """The full study has every arm; a word beside it wins; an unknown size is refused with the known ones."""
    asked = order("align", ["size=full", "redteam.rounds=2"]).recipe
    assert asked.redteam.rounds == 2
    assert replace(asked, redteam=full(Align()).redteam) == full(Align())
    with pytest.raises(ConfigError, match="smoke, quick, full"):
        order("align", ["size=huge"])
