"""docs/parity.md says what is found: its names and verdicts, not its digits, which another processor may round otherwise."""

from importlib.metadata import version
from pathlib import Path

import pytest

pytest.importorskip("trl", minversion="1.16", reason="TRL is not installed: pip install -e '.[dev,parity]'")

from benchmarks.parity import certificate, numbers, page, row
from tests.parity.case import measured
from tests.parity.cases import CASES

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"
AGAIN = "write the page again: python -m benchmarks.parity --write docs/parity.md"
NUMBERS = ("- As they stand", "- Equal after")


def cells(line: str) -> tuple[str, str, str]:
    """Ours, TRL's and the verdict of a line of the table."""
    first, second, *_, verdict = line.strip("| ").split(" | ")
    return first, second, verdict


def test_the_page_has_the_verdicts_that_are_found():
    """Row by row, in order, the committed table has the names of the cases and what a measurement finds now."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    assert [cells(line) for line in lines] == [cells(row(measured(case))) for case in CASES], AGAIN


def test_the_page_explains_every_difference():
    """All of the page but its numbers is what the command would write now, and it names the TRL that is installed."""
    written = PAGE.read_text(encoding="utf-8")
    assert f"TRL {version('trl')} " in written, AGAIN
    said = [line for case in CASES if case.certificate for line in certificate(measured(case))]
    assert [line for line in said if line not in written and not line.startswith(NUMBERS)] == [], AGAIN
    assert len(page([measured(case) for case in CASES]).splitlines()) == len(written.splitlines()), AGAIN


def test_the_numbers_say_in_which_setting_they_were_found():
    """A row as JSON has a loss and a gradient for each setting that was measured, and its verdict."""
    found = numbers(measured(CASES[0]))
    assert found["verdict"] == "equal"
    assert set(found["apart"]["float64"]) == set(found["apart"]["float32"]) == {"loss", "gradient"}
