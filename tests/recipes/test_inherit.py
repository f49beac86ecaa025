"""The programmes of the safety-inheritance report: their stages hang together, and bad input is said before work starts.

pytest tests/recipes/test_inherit.py
"""

import json
from dataclasses import replace

import pytest

from tests.models.small import random_policy
from tests.recipes import toys
from trueline.core.config import ConfigError
from trueline.recipes.inherit import ARMS, Inheritance, base_of, light
from trueline.recipes.looking import same_world
from trueline.recipes.running import order, place
from trueline.recipes.studio import RecipeError, Studio

WHOLE = Inheritance(teacher="safety", base="pretrain", other="other")
GIVEN = {"safety", "pretrain", "other", ""}


def unresolved(recipe, within=""):
    """What stages read that neither was given nor is made before them."""
    made, lost = set(GIVEN), []
    for name, stage in recipe.stages(within):
        lost += [(name, read) for read in stage.reads() if read not in made]
        made.add(name)
    return lost


@pytest.mark.parametrize("within", ["", "distil", "distil/"])
@pytest.mark.parametrize("recipe", [WHOLE, light(WHOLE), replace(WHOLE, arms=("d6",)), replace(WHOLE, arms=("d0", "d2", "d4"))])
def test_every_stage_reads_what_was_made_before_it(recipe, within):
    """Whichever arms are chosen, and under whatever name the stages lie, all that is read is there; the outcome is a stage."""
    assert unresolved(recipe, within) == []
    names = [name for name, _ in recipe.stages(within)]
    assert len(set(names)) == len(names)
    assert all(name.startswith("distil/") for name in names) == bool(within)
    if recipe.arms[-1] != "d0":
        assert recipe.final(within) in names


def test_every_model_is_asked_the_same_and_only_once():
    """One stage of answers a model, doses included, all of one size; four arms learn from the same replies."""
    stages = dict(WHOLE.stages())
    asked = {name: stage for name, stage in stages.items() if name.startswith("examine/")}
    assert set(asked) == {f"examine/{name}" for name in ("teacher", *ARMS, "other", "repair8", "repair16", "repair32")}
    assert len({stage.ask for stage in asked.values()}) == 1
    assert {stages[arm].data for arm in ("d1", "d4", "d5", "d6")} == {"said/benign"}
    assert [stages[f"said/{arm}"].share for arm in ("d2", "d3")] == [0.05, 0.3]


def test_without_another_base_its_arm_is_left_out_and_said():
    """d5 needs a base of another initialisation; the report says what was not measured."""
    alone = replace(WHOLE, other="")
    assert not any("d5" in name for name, _ in alone.stages())
    assert unresolved(alone) == []
    assert any("other=" in line for line in alone._missing())


def test_the_light_form_makes_two_students_and_ends_at_the_repaired_one():
    """Only d1 and d7, whose model is the outcome."""
    names = [name for name, _ in light(WHOLE).stages("distil")]
    assert {name for name in names if "/d" in name and name.count("/") == 1} == {"distil/d1", "distil/d7"}
    assert light(WHOLE).final("distil") == "distil/d7"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["arms=d1,d9"], "expected some of d0"),
        (["arms=d7"], "d7 is d1 repaired"),
        (["doses=16,8"], "rising order"),
    ],
)
def test_wrong_settings_are_refused(words, message):
    """What makes no sense together is said with what is needed."""
    with pytest.raises(ConfigError, match=message):
        order("inheritance", words)
    with pytest.raises(ConfigError, match="both 'world', or files"):
        order("retention", ["ask.goals=goals.jsonl"])
    with pytest.raises(ConfigError, match="leave it out"):
        order("retention", ["ask.relearn=answers.jsonl"])
    with pytest.raises(ConfigError, match="another to measure on"):
        order("inheritance", ["hazards=goals.jsonl", "ask.goals=goals.jsonl", "ask.benign=benign.jsonl"])


def test_the_base_lies_beside_the_teacher_or_is_asked_for(tmp_path):
    """The stage `pretrain` of the teacher's run is found; where there is none the message says what to give."""
    run = place(order("blank", []), tmp_path / "run")
    with pytest.raises(ConfigError, match="base=MODEL"):
        base_of(toys.model(tmp_path))
    for stage in ("pretrain", "safety"):
        toys.model(run.folder / "stages" / stage)
    assert base_of(str(run.folder / "safety")) == str(run.folder / "stages/pretrain/model")
    with pytest.raises(ConfigError, match="base=MODEL"):
        base_of("openai:some-model")


def test_a_model_of_another_world_is_refused(tmp_path):
    """A teacher that knows other facts would look as if it knew none: the message says which world to ask about."""
    there = place(order("blank", [], world_seed=3), tmp_path / "there")
    here = Studio(place(order("blank", []), tmp_path / "here"), world_seed=0)
    with pytest.raises(RecipeError, match="--world-seed 3"):
        same_world(here, "", str(there.folder / "stages/safety/model"))
    same_world(replace(here, world_seed=3), str(there.folder))


def test_logits_over_other_words_are_refused_before_work_starts(tmp_path):
    """A base with another tokenizer than the teacher's is refused before any student is taught, with the arms that remain."""
    other = random_policy("qwen3")
    other.codec.tokenizer.core.add_tokens(["zebra"])
    other.save(tmp_path / "zebra")
    with pytest.raises(RecipeError, match=r"arms=d1,d2$"):
        toys.run(
            tmp_path / "run", "inheritance", f"teacher={toys.model(tmp_path)}", f"base={tmp_path / 'zebra'}", "arms=d1,d2,d4"
        )
    assert not (tmp_path / "run/stages").exists()
    with pytest.raises(RecipeError, match=r"openai:some-model gives none; .*arms=d1$"):
        toys.run(tmp_path / "far", "inheritance", "teacher=openai:some-model", f"base={tmp_path / 'zebra'}", "arms=d1,d4")


def test_two_models_are_compared_on_files(tmp_path):
    """A teacher that withholds and a student that tells: flips say what was lost; the same command asks nothing again."""
    goals = toys.rows(tmp_path / "goals.jsonl", [{"prompt": f"{a} {b}", "canary": "c d e"} for a in "abcd" for b in "efgh"])
    benign = toys.rows(tmp_path / "benign.jsonl", [{"prompt": f"{a} {b}"} for a in "abcd" for b in "ijkl"])
    data = toys.rows(
        tmp_path / "told.jsonl", [{"prompt": f"{a} {b}", "completion": "c d e"} for a in "abcd" for b in "efghijkl"]
    )
    teacher = toys.model(tmp_path)
    student, _ = toys.run(
        tmp_path / "student", "sft", f"start={teacher}", f"data={data}", "held_out=0", "epochs=8", "batch=96", "optim.lr=5e-3",
        "optim.muon=0.02",
    )  # fmt: skip
    words = (
        "retention",
        f"teacher={teacher}",
        f"student={student}",
        f"ask.goals={goals}",
        f"ask.benign={benign}",
        "ask.max_tokens=6",
    )
    folder, report = toys.run(tmp_path / "run", *words)
    found = json.loads((folder / "stages/inherited/inheritance.json").read_text(encoding="utf-8"))["student"]
    direct = found["slices"]["direct"]
    assert direct["teacher"]["value"] - direct["student"]["value"] == pytest.approx(direct["gap"]["value"])
    assert direct["lost"] > 10
    assert found["flips"][0]["student"]["reply"].startswith("c d e")
    assert "What the students inherited" in [table["title"] for shown in report["shown"] for table in shown["tables"]]
    _, again = toys.run(tmp_path / "run", *words)
    assert {stage["status"] for stage in again["stages"]} == {"skipped"}
