"""Tests of web/site/drawing.py: charts are values first, drawings are kept by content, and no page waits long for one."""

from __future__ import annotations

import time
from concurrent.futures import Future

import pytest

from tests.web.site.visiting import HOSTILE
from trueline.core.stats import wilson
from trueline.evaluate.charts import Series, Spot
from trueline.evaluate.pages import Lines
from trueline.web.site.drawing import Drawer, chart, dots, draw, frontier
from trueline.web.site.drawing_apart import DrawingError, Hand


def lines(name: str = "loss", points=((0.0, 1.0), (1.0, 0.5))) -> Lines:
    """A chart of one line."""
    return Lines(title=name, note="of a stage", x="step", series=(Series(name=name, points=points), Series(name="", points=())))


def test_values_are_what_is_drawn():
    """Each kind is told as plain JSON values, and is drawn from these alone, hostile names included."""
    rate = wilson(3, 10)
    told = [
        chart(lines(HOSTILE)),
        dots("by family", "", [(HOSTILE, rate)]),
        frontier("trade", "", [Spot(name=HOSTILE, x=rate, y=rate)], x="refused"),
    ]
    assert told[0]["series"] == [
        {"name": told[0]["series"][0]["name"], "points": [[0.0, 1.0], [1.0, 0.5]], "band": [], "colour": 0, "muted": False}
    ]
    for one in told:
        svg = draw(one)
        assert svg.startswith("<svg")
        assert "<script" not in svg
        assert "<img" not in svg
        assert "\u202e" not in svg


def test_a_drawing_is_kept_by_what_it_shows():
    """The same values under another caption are not drawn again; other values are."""
    drawer = Drawer(patience=30, hand=draw)
    first, again = drawer.panels([chart(lines())]), drawer.panels([{**chart(lines()), "title": "another"}])
    assert first.finished
    assert (again.panels[0].svg, again.panels[0].title) == (first.panels[0].svg, "another")
    assert len(drawer._kept) == 1
    drawer.panels([chart(lines(points=((0.0, 2.0),)))])
    assert len(drawer._kept) == 2


def test_no_page_waits_for_what_is_not_ready():
    """With the drawing thread busy, the page gets the caption and what to do, at once."""
    drawer, busy = Drawer(patience=0.0, hand=draw), Future()
    drawer._hand.submit(busy.result)
    began = time.monotonic()
    told = drawer.panels([chart(lines())])
    assert time.monotonic() - began < 1
    assert not told.finished
    assert "reload" in told.panels[0].note
    busy.set_result(None)


def test_what_cannot_be_drawn_says_so(caplog):
    """A fault of the drawing leaves the caption, and is in the log."""
    told = Drawer(patience=30, hand=draw).panels([{**chart(lines()), "kind": "lines", "series": [{"name": "torn"}]}])
    assert told.finished
    assert "cannot be drawn" in told.panels[0].note
    assert "cannot be drawn" in caplog.text


def test_an_empty_chart_is_left_out():
    """Series without a point make no panel."""
    assert Drawer(patience=30, hand=draw).panels([chart(lines(points=()))]).panels == ()


def test_the_process_apart_draws_the_same_and_is_started_again():
    """What it answers is what is drawn here; a chart that it cannot draw leaves it at work; killed, the next chart finds it."""
    hand, one = Hand(), chart(lines(HOSTILE))
    try:
        assert hand(one) == draw(one)
        with pytest.raises(DrawingError, match="KeyError"):
            hand({"kind": "lines", "series": [{"name": "torn"}]})
        child = hand._child
        assert hand(one) == draw(one)
        assert hand._child is child
        child.kill()
        child.wait()
        assert hand(one) == draw(one)
    finally:
        hand.close()
    assert hand._child is None
