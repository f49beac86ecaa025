"""Figures: whose is drawn, in which colours, and what they may not hold.

pytest tests/lab/test_page_figures.py
"""

from __future__ import annotations

import json

import pytest
import vl_convert

from tests.lab.made_up import HOSTILE, Own, Plain, pooled, text
from trueline.evaluate.shape import read as shaped
from trueline.lab.page_figures import drawn, dressed, figure
from trueline.lab.page_rows import rows_of
from trueline.lab.registration import read

NOTE = read(text("E91"), "E91")


class Broken:
    """An experiment whose figure needs what a failed gate did not leave."""

    @staticmethod
    def figure(report):
        return report["ladder"][0]


def made(kind, **how):
    raw = pooled(NOTE, **how)
    report = shaped(raw)
    return figure(kind, raw, report, rows_of(NOTE, report, raw["provenance"]["by_seed"]))


def data_of(spec):
    """The rows of a specification's one data set."""
    (rows,) = spec["datasets"].values()
    return rows


def marks(found, kind):
    return [one for one in data_of(found.spec) if one["kind"] == kind]


def test_an_experiment_draws_its_own_else_its_outcome_else_its_bounds():
    """Its own figure comes first, then the curves of its outcome; curves of another stage are not its claim."""
    assert "mark" in made(Own).spec
    assert made(Plain).title == "Gold and proxy"
    assert made(Plain, stage="sft").title == "What was expected, and what came out"


def test_a_figure_that_cannot_be_drawn_is_replaced_and_says_so():
    """One experiment behind a failed gate does not take the page down."""
    assert "could not be drawn (IndexError" in made(Broken).note or "could not be drawn (KeyError" in made(Broken).note


def test_bounds_show_every_expectation_with_its_seeds():
    """A row each, measured or not; a bound that is open reaches the end of the axis; every seed has its point."""
    found = made(Plain, stage="sft")
    assert [one["row"] for one in marks(found, "bound")] == ["holds", "fails", "open", "missing"]
    assert [one["row"] for one in marks(found, "pooled")] == ["holds", "fails", "open"]
    assert len(marks(found, "seed")) == 9
    holds, fails, _, missing = marks(found, "bound")
    assert holds["from"] == 0.5
    assert fails["to"] == 0.2
    assert holds["to"] == missing["to"] == max(one["to"] for one in marks(found, "bound"))


def test_a_click_on_the_legend_brings_a_line_forward():
    """Layers share one legend, which must listen: compiled, its labels answer to the pointer."""
    (legend,) = vl_convert.vegalite_to_vega(made(Plain).spec)["legends"]
    assert legend["encode"]["labels"]["interactive"]


def test_values_that_are_no_shares_have_an_axis_each():
    """A KL of nine nats does not flatten a share of one in five."""
    raw = pooled(NOTE, stage="sft")
    raw["expectations"][0] |= {"value": {"value": 9.0, "n": 10, "low": 8.0, "high": 9.5}, "least": 5.0}
    report = shaped(raw)
    spec = figure(Plain, raw, report, rows_of(NOTE, report)).spec
    assert spec["resolve"] == {"scale": {"x": "independent"}}
    assert drawn(spec, "e91", "bounds")


def test_data_from_elsewhere_is_refused():
    """The page fetches nothing, and neither does whoever draws it."""
    with pytest.raises(ValueError, match="got a url"):
        dressed({"layer": [{"data": {"url": "https://example.org/a.csv"}, "mark": "bar"}]})


def test_hidden_characters_are_spelled_out_in_data():
    """What would turn a label round, or no drawing may hold, is written as its code; the drawing stands."""
    data = {"values": [{"arm": "safe\u202egnp\x00", "share": 1}]}
    spec = dressed(
        {"data": data, "mark": "bar", "encoding": {"y": {"field": "arm"}, "x": {"field": "share", "type": "quantitative"}}}
    )
    assert spec["data"]["values"][0]["arm"] == "safe⟨U+202E⟩gnp⟨U+0000⟩"
    assert "⟨U+202E⟩" in drawn(spec, "e91", "bars")


def test_a_figure_without_colours_wears_those_of_the_page():
    """What altair chooses by itself becomes the page's variables; what an experiment says stays."""
    spec = dressed({"mark": "bar", "config": {"axis": {"grid": False}, "view": {"continuousWidth": 300}}})
    assert spec["config"]["mark"] == {"color": "var(--c0)"}
    assert spec["config"]["axis"]["grid"] is False
    assert spec["config"]["axis"]["labelColor"] == "var(--muted)"


def test_drawings_share_a_page():
    """Ids inside a drawing are its own, since clip paths are found by id; hostile words stay words."""
    one, other = (drawn(made(Own).spec, name, "bars") for name in ("e91", "e93"))
    assert 'id="e91-0"' in one
    assert "url(#e91-0)" in one
    assert one == drawn(made(Own).spec, "e91", "bars")
    assert "e91-" not in other
    assert HOSTILE[:10] not in one


def test_text_cannot_end_its_script_element():
    """A specification is JSON without a single tag in it, and reads back as it was."""
    from trueline.lab.page_scripts import embedded

    spec = {"title": f"{HOSTILE}<!--\u2028&amp;"}
    text = str(embedded(spec))
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == spec
