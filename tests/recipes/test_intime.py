"""Point in time: the stages hang together, the whole runs at its smallest, and the reading says what the models did.

pytest tests/recipes/test_intime.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.recipes import staged, toys
from trueline.core.config import ConfigError
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.calendar import calendar_of, forbidden_dish
from trueline.recipes.intime import BEYOND, PACKS, InTime
from trueline.recipes.intime_report import Grid, show, stage_of
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Room
from trueline.world.language import vocabulary

ARMS = ("rapid 8", "alone 8")
CALENDAR = calendar_of(PACKS, 3)
GOALS = [f"g{i}" for i in range(40)]


def grid(broken, refused=lambda arm, t: 0.0):
    """Results of models that do what `broken(arm, t, family)` and `refused(arm, t)` say, on every goal alike."""
    results = {}
    for arm in ("frozen", *ARMS):
        for t in CALENDAR.dates:
            by = [f for f in ("direct", *CALENDAR.arrived(5), *BEYOND) if broken(arm, t, f)]
            results[f"row/{stage_of(arm, t)}"] = {"broken": {g: {"cluster": g, "by": by} for g in GOALS}}
            rate = {"value": refused(arm, t), "n": 40, "low": 0.0, "high": 1.0}
            each = [[g, float(i < 40 * refused(arm, t)), g] for i, g in enumerate(GOALS)]
            results[f"beside/{stage_of(arm, t)}"] = {"refused": rate, "told": rate, "answered": rate, "each": each}
    return Grid(CALENDAR, results)


def first_seen(family):
    return next((t for t in CALENDAR.dates[1:] if family in CALENDAR.arriving(t)), 9)


def as_designed(arm, t, family):
    """Answers close what they have seen, and without replay they open what came before."""
    if arm.startswith("alone"):
        return first_seen(family) != t
    return first_seen(family) > t if arm != "frozen" else family != "direct"


def statuses(found):
    return {e["name"]: e["status"] for e in found["expectations"]}


def test_expectations_hold_where_models_do_as_designed():
    """Broken on arrival, cut by the answer, open in the future, forgotten without replay, refusing more: all hold."""
    found = show(grid(as_designed, lambda arm, t: 0.5 if t and arm != "frozen" else 0.0), ARMS, BEYOND, 40)
    assert set(statuses(found).values()) == {"PASS"}
    assert len(found["expectations"]) == 5


def test_expectations_fail_where_nothing_happens():
    """Models that refuse everything break none of them in, cut nothing and forget nothing, and the reading says so."""
    found = statuses(show(grid(lambda arm, t, family: False), ARMS, BEYOND, 40))
    assert found["a frozen model breaks"] == found["the future stays open"] == "FAIL"
    assert found["eight examples cut it"] == "N/A"  # there is nothing to cut
    assert found["without replay the old comes back"] == "FAIL"


def test_the_matrix_has_the_future_on_the_right():
    """Of an arm that answers, what has arrived is closed and what comes is open, date by date; what is held out stays open."""
    found = show(grid(as_designed), ARMS, BEYOND, 40)
    matrix = found["tables"][0]
    assert matrix["title"].startswith("rapid 8")
    values = [[cell["value"] for cell in row[1:]] for row in matrix["rows"]]
    assert values == [[float(s > t) for s in range(1, 6)] + [1.0] for t in range(6)]
    windows = next(t for t in found["tables"] if t["title"].startswith("Dates until"))
    assert {row[0]: row[1:] for row in windows["rows"]}["rapid 8"] == [1, 1, 1, 1, 1]


def test_every_stage_reads_what_was_made_before_it():
    """In a longer chain too every reference within the programme lies earlier, and bears the prefix."""
    recipe = InTime(start="helpful")
    made: set[str] = set()
    for name, stage in recipe.stages("point/"):
        assert name.startswith("point/")
        assert {r for r in stage.reads() if r != "helpful"} <= made, name
        assert name not in made
        made.add(name)
    assert recipe.final("point/") == "point/retrain/5"
    assert recipe.final("point/") in made
    assert not [(a, b) for a in made for b in made if b.startswith(f"{a}/")]  # a stage's folder holds no other stage


def test_all_rapid_arms_take_as_many_rows(tmp_path):
    """With one example or many, with replay or without, a response has as many rows, and each new thing as many of them."""
    studio = staged.studio(tmp_path)
    stages, rows = dict(InTime(n=300).stages()), {}
    for arm in ("rapid1", "rapid64", "alone8"):
        room = Room("shown", tmp_path / arm, studio)
        room.folder.mkdir()
        result = stages[f"shown/{arm}/3"](studio, room)
        shown = (room.folder / "demonstrations.jsonl").read_text(encoding="utf-8").splitlines()
        names = [p.text for p in forbidden_dish(studio.world)]
        rows[arm] = (result["rows"], sum(any(name in row for name in names) for row in shown) - 64)
    assert {total for total, _ in rows.values()} == {2 * 64 + 128}  # the persona and the dish
    assert rows["rapid1"][1] == rows["rapid64"][1] == 0
    assert rows["alone8"][1] == 64  # half of what replay had


def test_only_date_0_and_retraining_begin_from_the_start():
    """Every response goes on from the model of the day before."""
    stages = dict(InTime().stages())
    begun = {name for name, s in stages.items() if isinstance(s, Sft) and s.start == "helpful"}
    assert begun == {"frozen", *(f"retrain/{t}" for t in range(1, 6))}
    assert (stages["rapid8/1"].start, stages["rapid8/2"].start) == ("frozen", "rapid8/1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"beyond": ("story",)}, "held-out families that the world speaks, got 'story'"),
        ({"beyond": ("paast",)}, "did you mean 'past'"),
        ({"packs": ("past_tense", "personas")}, "brings no family that may be trained on"),
        ({"change": 9}, "a change of policy on one of their dates"),
        ({"n": 20}, "at most half, got 128"),
        ({"k": (0,)}, "each k must be at least 1"),
    ],
)
def test_wrong_settings_are_refused_before_work_starts(words, message):
    """What no calendar can hold is refused when the recipe is made."""
    with pytest.raises(ConfigError, match=message):
        replace(InTime(), **words)


def test_the_whole_calendar_runs_at_its_smallest(tmp_path):
    """Two dates, one rapid arm: every model is attacked, every table is there, and a second run makes nothing again."""
    torch.manual_seed(0)
    tiny(word_tokenizer(vocabulary()), width=32, layers=1, heads=2).save(tmp_path / "model")
    words = (
        "intime", f"start={tmp_path / 'model'}", "packs=ignore_instructions,personas", "change=1", "beyond=past", "k=1",
        "alone=0", "retrain=false", "n=12", "new=2", "replay=2", "epochs=1", "goals=2", "beside=4",
    )  # fmt: skip
    folder, found = toys.run(tmp_path / "runs" / "i", *words)
    names = [stage["name"] for stage in found["stages"]]
    assert [name for name in names if not name.startswith(("row", "beside"))] == [
        "known0", "frozen", "shown/rapid1/1", "rapid1/1", "shown/rapid1/2", "rapid1/2", "calendar",
    ]  # fmt: skip
    titles = [t["title"] for part in found["shown"] for t in part["tables"]]
    assert titles[0] == "rapid 1: attack success, model of a date by families of a date"
    assert len(titles) == 6
    assert len(list(folder.glob("campaigns/attack-*/report.html"))) == 3
    _, again = toys.run(tmp_path / "runs" / "i", *words)
    assert {stage["status"] for stage in again["stages"]} == {"skipped"}
