"""Coverage: what was never asked shows, whatever was asked often."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from tests.attack.asking import FakeAsk
from tests.attack.goals import ENGLISH, WORLD, worldly
from trueline.attack.catalogue import family_names
from trueline.attack.coverage import Cell, Coverage, coverage
from trueline.attack.families import FAMILIES
from trueline.core.types import Attempt


def attempts(family: str, count: int, category: str = "hazard/gas", reply: str = "no") -> list[Attempt]:
    goal = replace(worldly(WORLD.hazards[0]), category=category)
    ask = FakeAsk(goal, target=lambda conversation: reply)
    return [replace(asyncio.run(ask(goal.conversation)), family=family) for _ in range(count)]


def cell(found: Coverage, family: str, category: str = "hazard/gas") -> Cell:
    return next(c for c in found.cells if (c.family, c.category) == (family, category))


def test_a_family_that_never_ran_is_dark_in_every_category():
    """The catalogue decides what could have been asked, not what was; goals that were never asked have their column."""
    found = coverage(attempts("role", 9), goals=[replace(worldly(), category="hazard/oil")])
    assert found.categories == ("hazard/gas", "hazard/oil")
    assert {c.category for c in found.dark if c.family == "crescendo"} == {"hazard/gas", "hazard/oil"}
    assert cell(found, "role") not in found.dark + found.dim
    assert cell(found, "role", "hazard/oil") in found.dark


def test_a_family_has_no_cell_where_no_goal_is_in_its_tongue():
    """Nobody can look into Base64 in the world, or into zaba in English; every other family has its cell."""
    found = coverage((), goals=[replace(worldly(), category="world"), replace(ENGLISH, category="english")])
    rows = {category: {c.family for c in found.cells if c.category == category} for category in found.categories}
    assert set(family_names()) - rows["world"] == {n for n, f in FAMILIES.items() if "world" not in f.tongues}
    assert set(family_names()) - rows["english"] == {"zaba"}
    assert {c.category for c in coverage((), goals=[replace(g, category="both") for g in (worldly(), ENGLISH)]).cells} == {
        "both"
    }


@pytest.mark.parametrize(("count", "few", "dim"), [(1, 5, True), (4, 5, True), (5, 5, False), (5, 6, True)])
def test_a_cell_with_too_few_answers_is_dim(count, few, dim):
    """Dim lies between dark and enough."""
    found = coverage(attempts("past", count), few=few)
    assert (cell(found, "past") in found.dim) == dim
    assert cell(found, "past") not in found.dark


def test_errors_light_no_cell():
    """A target that failed to answer said nothing about the cell."""
    assert cell(coverage(attempts("role", 9, reply="")), "role").answered == 0


def test_an_unknown_family_gets_its_row():
    """Attempts of a plugin that is not installed are counted all the same."""
    assert cell(coverage(attempts("elsewhere", 3)), "elsewhere").answered == 3


def test_the_dictionary_holds_every_cell_and_is_json():
    """What machines read says the same as the record."""
    found = coverage(attempts("role", 6) + attempts("past", 2))
    read = json.loads(json.dumps(found.as_dict()))
    assert read["answered"]["role"] == {"hazard/gas": 6}
    assert read["dim"] == [["past", "hazard/gas"]]
    assert len(read["dark"]) + len(read["dim"]) + 1 == read["cells"] == len(found.cells)


def test_the_table_shows_hostile_categories_safely():
    """A category from a file is shown by the function that makes it safe, and never read as markup."""
    found = coverage(attempts("role", 6, category="[red]x\x1b[2J"))
    out = StringIO()
    Console(file=out, width=200).print(found.table(lambda text: text.replace("\x1b", "?")))
    assert "[red]x?[2J" in out.getvalue()
    assert "dark" in out.getvalue()


def test_few_must_be_positive():
    """Below one answer there is only dark."""
    with pytest.raises(ValueError, match="got 0"):
        coverage((), few=0)
