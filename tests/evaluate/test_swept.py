"""Runs at several settings, side by side: what is shown of them, and what is said beside.

pytest tests/evaluate/test_swept.py
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from trueline.core.stats import wilson
from trueline.evaluate.shown import expect
from trueline.evaluate.swept import Point, numbers, story


def report(*metrics: dict[str, Any], seeds: bool = False, **parts: Any) -> dict[str, Any]:
    stages = [{"name": str(i), "metrics": {k: v if isinstance(v, dict) else {"value": v} for k, v in one.items()}}
              for i, one in enumerate(metrics)]  # fmt: skip
    return {"stages": stages, "seconds": 1.0, "provenance": {"seeds": [0]} if seeds else {}, **parts}


def point(said: str, found: dict[str, Any] | None, why: str = "") -> Point:
    return Point(said, dict(word.split("=") for word in said.split(", ")), found, why)


def share(successes: int, n: int = 100) -> dict[str, float]:
    return asdict(wilson(successes, n))


def titled(told: dict[str, Any], title: str) -> dict[str, Any] | None:
    return next((one for one in told["tables"] if one["title"].startswith(title)), None)


def test_what_is_the_same_everywhere_is_named_and_takes_no_column():
    """Nor do costs that a stage counts; what differs has its rate or number."""
    told = story(
        [
            point("beta=1", report({"right": share(50), "examples": 60, "wall": 1.0})),
            point("beta=2", report({"right": share(60), "examples": 60, "wall": 2.0})),
        ]
    )
    table = titled(told, "What")
    assert table["columns"] == ["setting", "right", "seconds"]
    assert table["rows"] == [["beta=1", share(50), 1.0], ["beta=2", share(60), 1.0]]
    assert "same at every setting: examples 60" in table["note"]
    assert "best of 2" in table["note"]


def test_the_last_stage_speaks_for_a_run_and_all_seeds_for_a_study():
    """The numbers of several seeds are pooled; of a run, those of its last stage are taken."""
    assert numbers(report({"loss": 9.0}, {"loss": 1.0})) == {"loss": 1.0}
    assert numbers(report({"loss": 3.0}, {"loss": 1.0}, seeds=True)) == {"loss": 2.0}


def test_a_run_that_failed_has_a_row_and_its_reason():
    """Without numbers, which would be those of nothing."""
    told = story([point("lr=1", report({"loss": 1.0})), point("lr=9", None, "loss is nan at step 3")])
    table = titled(told, "What")
    assert table["rows"][1] == ["lr=9", None, None]
    assert "lr=9 failed: loss is nan at step 3" in table["note"]


def test_differences_are_taken_seed_by_seed():
    """What differs between seeds and not between settings does not widen them."""
    told = story(
        [
            point("beta=1", report({"loss": 1.0}, {"loss": 5.0}, {"loss": 9.0}, seeds=True)),
            point("beta=2", report({"loss": 1.5}, {"loss": 5.5}, {"loss": 9.5}, seeds=True)),
        ]
    )
    assert titled(told, "Difference from beta=1")["rows"] == [["beta=2", "0.5 (0.5 to 0.5)"]]


def test_without_seeds_there_is_nothing_to_pair_by():
    """One run of each setting gives no differences."""
    assert titled(story([point("a=1", report({"loss": 1.0})), point("a=2", report({"loss": 2.0}))]), "Difference") is None


def test_expectations_are_no_confirmation_at_a_setting_that_was_picked():
    """They stand in a table with their status, and the table says so."""
    held = expect("falls", "it falls", wilson(90, 100), least=0.5)
    told = story(
        [
            point("a=1", report({}, expectations=[held])),
            point("a=2", report({}, expectations=[held | {"status": "FAIL"}])),
        ]
    )
    table = titled(told, "Expectations")
    assert [cell.split()[0] for cell in table["rows"][0][1:]] == ["PASS", "FAIL"]
    assert "no confirmation" in table["note"]


def curve(told: dict[str, Any], title: str) -> dict[str, Any]:
    return next(one for one in told["curves"] if one["title"].startswith(title))


def test_numbers_are_drawn_over_the_first_setting_that_is_a_number():
    """Ordered by it, with a line for every combination of the others; a wide range is spaced by ratios."""
    told = story(
        [
            point(f"objective.by={by}, lr={lr}", report({"loss": loss}))
            for by, lr, loss in [("dpo", "1e-2", 3.0), ("dpo", "1e-4", 1.0), ("ipo", "1e-2", 4.0), ("ipo", "1e-4", 2.0)]
        ]
    )
    drawn = curve(told, "loss")
    assert (drawn["x"], drawn["log"]) == ("lr", True)
    assert {one["name"]: [(p["x"], p["value"]) for p in one["points"]] for one in drawn["series"]} == {
        "by=dpo": [(1e-4, 1.0), (1e-2, 3.0)],
        "by=ipo": [(1e-4, 2.0), (1e-2, 4.0)],
    }


@pytest.mark.parametrize("values", [("dpo", "ipo"), ("1", "dpo")])
def test_settings_that_are_words_have_no_axis(values):
    """The table has their numbers."""
    assert story([point(f"by={value}", report({"loss": float(i)})) for i, value in enumerate(values)])["curves"] == []


def test_training_curves_of_all_settings_share_a_chart():
    """Those of the last stage that has any, so that one looks at what diverges."""
    rows = [{"tokens": 10, "loss": 2.0}, {"tokens": 20, "loss": 1.0}]
    told = story(
        [
            point(f"a={a}", report({}, curves=[{"stage": "first", "points": []}, {"stage": "sft", "points": rows}]))
            for a in (1, 2)
        ]
    )
    drawn = curve(told, "loss while sft trained")
    assert [one["name"] for one in drawn["series"]] == ["a=1", "a=2"]
    assert [p["value"] for p in drawn["series"][0]["points"]] == [2.0, 1.0]
