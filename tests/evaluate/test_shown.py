"""What a stage shows: the same table, curve and expectation on the page and in the terminal, whatever a model wrote.

pytest tests/evaluate/test_shown.py
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from trueline.core.stats import wilson
from trueline.core.types import Rate
from trueline.evaluate.report import render
from trueline.evaluate.shape import read
from trueline.evaluate.shown import curves, expect, table
from trueline.recipes import reporting


def found(**shown: object) -> dict[str, object]:
    """A report whose one stage shows this."""
    return {"run": "r", "recipe": "x", "stages": [{"name": "s", "status": "done", "metrics": {}}], **shown}


@pytest.mark.parametrize(
    ("low", "high", "least", "most", "status"),
    [
        (0.6, 0.8, 0.6, None, "PASS"),
        (0.5, 0.7, 0.6, None, "INCONCLUSIVE"),
        (0.3, 0.5, 0.6, None, "FAIL"),
        (0.3, 0.5, None, 0.5, "PASS"),
        (0.6, 0.7, None, 0.5, "FAIL"),
        (0.4, 0.6, None, 0.5, "INCONCLUSIVE"),
        (-0.04, 0.03, -0.05, 0.05, "PASS"),
        (-0.08, 0.03, -0.05, 0.05, "INCONCLUSIVE"),
        (0.06, 0.09, -0.05, 0.05, "FAIL"),
    ],
)
def test_an_expectation_holds_by_its_whole_interval(
    low: float, high: float, least: float | None, most: float | None, status: str
) -> None:
    """A bound inside the interval is neither kept nor broken."""
    value = Rate(value=(low + high) / 2, n=50, low=low, high=high)
    assert expect("e", "c", value, least=least, most=most)["status"] == status


def test_an_expectation_without_a_measurement_or_behind_a_failed_gate_is_not_available() -> None:
    """What rests on nothing never reads PASS."""
    assert expect("e", "c", None, least=0.5)["status"] == "N/A"
    assert expect("e", "c", wilson(99, 100), least=0.5, unless="the critic failed its gate")["status"] == "N/A"


def test_an_expectation_has_bounds_that_something_can_hold() -> None:
    """No bound, or bounds that cross, are a mistake of the recipe."""
    for bounds in ({}, {"least": 0.2, "most": 0.1}):
        with pytest.raises(ValueError, match="give least, most, or both"):
            expect("e", "c", wilson(1, 2), **bounds)


def test_a_row_that_does_not_fit_its_columns_is_refused() -> None:
    """A cell under the wrong heading would be read as another number."""
    with pytest.raises(ValueError, match="expected 2 cells"):
        table("t", ["a", "b"], [["x"]])


def test_page_and_terminal_show_tables_and_expectations_of_every_status() -> None:
    """Nothing that a stage shows is filtered, and failed expectations least of all."""
    shown = [{"stage": "s", "tables": [table("Rounds", ["round", "success"], [[1, wilson(3, 10)], [2, None]])]}]
    claims = [
        expect("holds", "a claim", wilson(100, 100), least=0.5),
        expect("fails", "another", wilson(0, 100), least=0.5),
        expect("open", "a third", wilson(1, 2), least=0.5),
        expect("gated", "a fourth", None, least=0.5, unless="its gate failed"),
    ]
    report = found(shown=shown, expectations=claims)
    screen = io.StringIO()
    reporting.show(Path("page"), report, Console(file=screen, width=200))
    for text in (render(report), screen.getvalue()):
        for word in ("Rounds", "PASS", "FAIL", "INCONCLUSIVE", "N/A", "its gate failed", "0.30", "—"):
            assert word in text


def test_what_a_model_wrote_is_text_on_the_page_and_in_the_terminal() -> None:
    """Markup of the page and of the console in a cell stays what was written."""
    shown = [{"stage": "s", "tables": [table("t", ["said"], [["<script>x</script> [red]y[/red]"]])]}]
    screen = io.StringIO()
    reporting.show(Path("page"), found(shown=shown), Console(file=screen, width=200))
    assert "<script>x" not in render(found(shown=shown))
    assert "[red]y[/red]" in screen.getvalue()


def test_curves_are_drawn_with_the_band_of_their_rates() -> None:
    """A rate brings its interval along; a plain number does not."""
    made = curves("Success", "round", {"known": [(0, wilson(9, 10)), (1, wilson(1, 10))], "plain": [(0, 0.5)]})
    assert {"low", "high"} <= made["series"][0]["points"][0].keys()
    assert set(made["series"][1]["points"][0]) == {"x", "value"}
    assert "<svg" in render(found(shown=[{"stage": "s", "curves": [made]}]))


def test_a_cell_of_nothing_measured_is_not_zero() -> None:
    """A rate over no cases reads as not measured."""
    shown = [{"stage": "s", "tables": [table("t", ["a"], [[{"value": 0.0, "n": 0, "low": 0.0, "high": 1.0}]])]}]
    assert read(found(shown=shown)).shown[0].tables[0].rows == [[None]]


def test_names_of_stages_and_numbers_cannot_steer_the_terminal() -> None:
    """Where there is no ladder the numbers of each stage are printed; their names may be a stranger's."""
    nasty = "\x1b[2J\u202e[red]x[/red]"
    stages = [{"name": f"s{nasty}", "status": "done", "metrics": {f"m{nasty}": {"value": 0.5}, "none": {"value": None}}}]
    screen = io.StringIO()
    reporting.show(Path("page"), found(stages=stages), Console(file=screen, width=200))
    assert "s⟨U+001B⟩[2J⟨U+202E⟩[red]x[/red]: m⟨U+001B⟩[2J⟨U+202E⟩[red]x[/red] 0.5" in screen.getvalue()
    assert "\x1b[2J" not in screen.getvalue()
