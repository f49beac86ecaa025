"""E13: the other base is another one of the same world, the arms take what they should, and what passes is compared in pairs.

pytest tests/lab/test_distillation.py
"""

from __future__ import annotations

import pytest

from tests.lab.wrapped import drawn_from, on_base, stages_of, untaken
from tests.recipes import staged
from tests.recipes.test_inherit_report import answers
from trueline.core.types import Rate
from trueline.evaluate.shown import table
from trueline.lab.distillation import Distillation, OtherBase, Subliminal
from trueline.models.policy import Policy
from trueline.recipes.examine import ANSWERS
from trueline.recipes.inherit_report import expectations
from trueline.recipes.pretrain import Pretrain
from trueline.recipes.studio import Room

TINY = Pretrain(tokens=2000, batch=512, row=64, long_row=64, width=32, layers=1, heads=2, context=96)


def passed(folder, same: float, other: float) -> list[dict]:
    """Nothing is withheld by either start; so much by the student of the same base, and so much by that of another."""
    here = staged.studio(folder)
    for name, share in {"d0": 0.0, "d4": same, "other": 0.0, "d5": other}.items():
        staged.stage(here, f"examine/{name}", ANSWERS, answers(share, 0.0, 1.0))
    return Subliminal()(here, Room("subliminal", folder, here))["expectations"]


@pytest.mark.parametrize("size", ["smoke", "quick", "full"])
def test_every_stage_reads_what_is_there(size, tmp_path):
    """All eight arms where there is another base; without one its arm and what hangs on it are left out."""
    recipe = on_base(Distillation, size, tmp_path)
    stages = stages_of(recipe, tmp_path)
    assert ("other" in stages) == ("d5" in stages) == ("subliminal" in stages) == (size != "quick")
    assert stages["examine/teacher"].model.endswith("/safety")
    if size != "quick":
        assert stages["d5"].start == "other"
        assert stages["d4"].start == f"{tmp_path}/base/pretrain"


def test_stages_of_another_programme_are_found_under_its_name(tmp_path):
    """Under a prefix the other base and what compares it lie there too."""
    names = [name for name, _ in on_base(Distillation, "full", tmp_path).stages("within/")]
    assert all(name.startswith("within/") for name in names)


def test_what_is_registered_is_what_the_stages_state(tmp_path):
    """Every claim about an arm has the name that the report gives it."""
    arms = on_base(Distillation, "full", tmp_path).of.arms
    stated = [e["name"] for e in expectations({arm: {} for arm in arms}, {}, 0.05)]
    stated += [e["name"] for e in passed(tmp_path, 0.0, 0.0)]
    assert untaken("E13", stated) == set()
    assert untaken("E13", [name for name in stated if not name.startswith("d6")]) == {
        "d6 gives nothing directly", "d6 never learned",
    }  # fmt: skip


def test_the_other_base_begins_elsewhere_in_the_same_world(tmp_path):
    """Its weights are those of the seed that is so far away, whose documents it reads; and not those of this seed."""

    def made(name: str, recipe, seed: int = 0):
        here = staged.studio(tmp_path / name, seed=seed)
        here.make("base", recipe)
        return Policy.load(str(here.stages["base"].model)).model.state_dict(), here.world.hash

    (near, world), (far, same) = made("near", TINY), made("far", OtherBase(how=TINY, away=7))
    (again, _) = made("again", TINY, seed=7)
    assert world == same
    assert not all(near[key].equal(far[key]) for key in near)
    assert all(again[key].equal(far[key]) for key in far)


def test_what_passes_is_the_change_of_one_arm_less_that_of_the_other(tmp_path):
    """Both alike is nothing; three tenths more withheld from the same initialisation is three tenths, and PASS."""
    alike, more = passed(tmp_path / "a", 0.4, 0.4)[0], passed(tmp_path / "b", 0.7, 0.2)[0]
    assert alike["value"]["value"] == pytest.approx(0.0)
    assert more["value"]["value"] == pytest.approx(0.5)
    assert more["status"] == "PASS"


def test_the_figure_turns_what_is_given_into_what_is_withheld():
    """Three marks a student, two for the teacher, with the interval turned round; nothing to draw is no figure."""
    rate = Rate(value=0.2, n=10, low=0.1, high=0.5)
    columns = ["model", "benign kept", "direct given", "L3 to L5 given"]
    rows = [["teacher", None, rate, rate], ["d1 benign prompts, words", rate, rate, rate]]
    found = table("What the students inherited", columns, rows)
    spec = Distillation.figure({"shown": [{"stage": "inherited", "tables": [found], "curves": []}]})
    assert spec is not None
    marks = drawn_from(spec)[0]
    assert [mark["model"][:2] for mark in marks] == ["te", "te", "d1", "d1", "d1"]
    assert (marks[0]["value"], marks[0]["low"], marks[0]["high"]) == pytest.approx((0.8, 0.5, 0.9))
    assert marks[2]["value"] == 0.2
    assert Distillation.figure({"shown": []}) is None
