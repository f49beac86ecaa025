"""Rows: counts, and the drawing of a number on its bound.

pytest tests/lab/test_page_rows.py
"""

from __future__ import annotations

import re

from tests.lab.made_up import pooled, text
from trueline.evaluate.shape import read as shaped
from trueline.lab.page_rows import counts, rows_of
from trueline.lab.registration import read

NOTE = read(text("E91"), "E91")


def places(strip):
    """The bound (from, to), the interval (from, to) and the value of a strip, in hundredths of its width."""
    x, width = map(float, re.search(r'x="([\d.]+)" y="0" width="([\d.]+)"', strip).groups())
    low, high = map(float, re.search(r"M([\d.]+) 8H([\d.]+)", strip).groups())
    return (x, x + width), (low, high), float(re.search(r"M([\d.]+) 2v", strip)[1])


def test_what_was_not_run_is_not_what_could_not_be_had():
    """Both read N/A in a result; on the page they are told apart, and none is dropped."""
    run = rows_of(NOTE, shaped(pooled(NOTE)))
    assert counts(run) == {"FAIL": 1, "INCONCLUSIVE": 2, "N/A": 1}
    assert counts(rows_of(NOTE, None)) == {"not run": 4}


def test_a_strip_shows_on_which_side_of_its_bound_a_number_lies():
    """An interval across the bound is drawn across it, one outside beside it, and all of it lies within the strip."""
    holds, fails, *_ = rows_of(NOTE, shaped(pooled(NOTE)))
    (start, end), (low, high), value = places(holds.strip)
    assert 0 < low < start < value < high < end == 100
    (start, end), (low, high), value = places(fails.strip)
    assert 0 == start < end < low < value < high < 100


def test_a_strip_without_a_value_shows_the_bound_alone():
    """What was not measured is not drawn at zero."""
    strip = rows_of(NOTE, None)[0].strip
    assert "bound" in strip
    assert "value" not in strip
