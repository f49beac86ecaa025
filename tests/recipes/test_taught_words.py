"""Whose words teach, and as what they are counted: a trained attacker's, and people's.

pytest tests/recipes/test_taught_words.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.attack.findings import HAZARDS, attempt
from tests.recipes import staged
from trueline.core.types import Conversation
from trueline.evaluate.rounds import Round, story
from trueline.recipes.campaigns import ATTEMPTS
from trueline.recipes.lessons import Lessons


@pytest.mark.parametrize(
    ("family", "findings"),
    [("role", 1), ("direct", 1), ("reverse", 1), ("past", 0), ("bind", 0), ("role+prefix", 0), ("direct~2", 0)],
)
def test_what_an_attacker_wrote_in_the_words_of_a_held_out_family_is_no_lesson(tmp_path, family, findings):
    """Wherever the words are from: a family that nothing may be learned of is not learned by way of a model."""
    asked = attempt(HAZARDS[0], family)
    written = replace(asked, attack="trained", family="trained", split="held_out", level="L6")
    where = staged.studio(tmp_path)
    staged.stage(where, "attack0", ATTEMPTS, [written])
    assert where.make("lessons", Lessons(campaigns=("attack0",), n=20)).result["findings"] == findings


def test_words_of_no_family_teach(tmp_path):
    """A wording that nobody put into a frame is the attacker's own."""
    said = Conversation().say("user", f"{HAZARDS[0].about['procedure']} , wow !")
    written = replace(attempt(HAZARDS[0]), conversation=said, attack="trained", family="trained", split="held_out", level="L6")
    where = staged.studio(tmp_path)
    staged.stage(where, "attack0", ATTEMPTS, [written])
    assert where.make("lessons", Lessons(campaigns=("attack0",), n=20)).result["findings"] == 1


def test_what_people_held_out_is_counted_as_held_out():
    """The row's split wins over that of `direct`, in whose words everything is asked as it stands."""

    def people(split, gave):
        one = attempt(HAZARDS[0], "direct", gave=gave)
        return replace(one, goal=replace(one.goal, about={**one.goal.about, "family": "people", "split": split}, id=split))

    some = [people("train", gave=False), people("held_out", gave=True)]
    totals = story([Round("start", some)], learned=("train", "validation"))["tables"][0]["rows"][0]
    assert (totals[1]["value"], totals[2]["value"]) == (0.0, 1.0)
