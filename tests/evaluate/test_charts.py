"""Charts: what is drawn stands where the numbers say, and nothing else gets into the page."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from trueline.core.stats import wilson
from trueline.evaluate import charts
from trueline.evaluate.charts import Series, Spot

NAME = "{http://www.w3.org/2000/svg}"
STAGES = [("sft", wilson(30, 60)), ("dpo", wilson(20, 60)), ("redteam", wilson(3, 60))]


def tags(svg: str) -> set[str]:
    """The tags of a drawing."""
    return {element.tag.removeprefix(NAME) for element in ET.fromstring(svg).iter()}


def titles(svg: str) -> list[str]:
    """The words behind each mark."""
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{NAME}title")]


def marks(svg: str) -> list[tuple[float, float]]:
    """The centres of the points drawn."""
    return [
        tuple(map(float, re.findall(r"-?[\d.]+", element.attrib["transform"])[:2]))
        for element in ET.fromstring(svg).iter(f"{NAME}path")
        if element.find(f"{NAME}title") is not None
    ]


DRAWN = {
    "lines": lambda name: charts.lines([Series(name=name, points=((0, 1), (1, 2)), band=((0, 0.5, 1.5), (1, 1, 3)))], x=name),
    "many": lambda name: charts.lines(
        [Series(name=name + end, points=((0, 1), (1, 2)), muted=end == "b") for end in "ab"], x="x"
    ),
    "dots": lambda name: charts.dots([(name, STAGES[0][1]), ("other", STAGES[1][1])], rule=0.5, x=name),
    "frontier": lambda name: charts.frontier([Spot(name=name, x=STAGES[0][1], y=STAGES[1][1])], x=name),
    "calibration": lambda name: charts.calibration([(0.6, STAGES[0][1]), (0.9, STAGES[1][1])]),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_a_drawing_is_harmless_and_wears_the_pages_colours(kind):
    """Whatever the names, only plain shapes come out, without ids, links or handlers, and every colour is a variable."""
    svg = DRAWN[kind]('</svg><script>alert(1)</script><a href="javascript:x" onload=x>')
    assert tags(svg) <= charts.TAGS
    attributes = {name: value for element in ET.fromstring(svg).iter() for name, value in element.attrib.items()}
    assert not [name for name in attributes if name.startswith("on") or "href" in name or name in ("id", "style")]
    colours = {e.attrib[key] for e in ET.fromstring(svg).iter() for key in ("fill", "stroke") if key in e.attrib}
    assert all(colour.startswith("var(--") or colour in ("none", "transparent") for colour in colours), colours


@pytest.mark.parametrize("kind", DRAWN)
def test_drawing_twice_gives_the_same(kind):
    """A chart is a pure function of its data."""
    assert DRAWN[kind]("sft") == DRAWN[kind]("sft")


def test_a_stranger_among_the_tags_is_refused():
    """Should the renderer ever draw a link or a script, the report stops instead of passing it on."""
    for stranger in ("<script/>", '<a href="x"/>', "<foreignObject/>", '<path onclick="x"/>', '<image href="x"/>'):
        with pytest.raises(ValueError, match="only"):
            charts.harmless(f'<svg xmlns="{charts.SVG}">{stranger}</svg>', "test")


def test_a_point_stands_where_its_value_says():
    """Positions are affine in the values: the middle of three evenly spaced rates is the mean of the outer two."""
    svg = charts.dots([("a", wilson(10, 50)), ("b", wilson(20, 50)), ("c", wilson(30, 50))])
    (a, _), (b, _), (c, _) = marks(svg)
    assert b == pytest.approx((a + c) / 2, abs=1e-6)
    assert a < b < c


def test_every_rate_carries_its_interval_and_n():
    """The words behind each mark hold value, interval and n."""
    for svg in (charts.dots(STAGES), charts.frontier([Spot(name=s, x=r, y=r) for s, r in STAGES], x="x")):
        assert len(titles(svg)) == len(STAGES)
        assert all("n 60" in words and " to " in words for words in titles(svg))
    assert "n 60" in "".join(ET.fromstring(charts.dots(STAGES)).itertext())


def test_a_line_keeps_the_order_it_was_measured_in():
    """KL may go back: the path follows the order of the points, not of x."""
    there_and_back = charts.lines([Series(name="ppo", points=((0, 0), (2, 1), (1, 2)))], x="x")
    paths = [e.attrib["d"] for e in ET.fromstring(there_and_back).iter(f"{NAME}path") if e.attrib.get("stroke") == "var(--c0)"]
    xs = [float(x) for x in re.findall(r"[ML](-?[\d.]+),", paths[0])]
    assert xs[1] > xs[2] > xs[0]


def test_constant_and_single_points_can_be_drawn():
    """A flat line, a lone point and a zero-width interval still give an axis."""
    for points in (((0, 0),), ((0, 3), (1, 3)), ((5, -2),)):
        assert "svg" in tags(charts.lines([Series(name="x", points=points)], x="x", zero=True))
    assert charts._room([2.0, 2.0]) == (1.0, 3.0)
    assert charts._room([0.0, 0.0])[1] > 0


def test_thinning_keeps_both_ends():
    """A long series is thinned without losing its first and last point."""
    for n in (1, 2, 159, 160, 161, 5000):
        kept = charts._thin(list(range(n)))
        assert (kept[0], kept[-1]) == (0, n - 1)
        assert len(kept) == len(set(kept)) <= 2 * charts.POINTS


def test_labels_never_overlap():
    """End labels of equal values are spread at least a line apart, in order."""
    placed = charts._spread([1.0, 1.0, 1.01, 5.0], 0, 10, 200)
    gap = 10 * charts.LABEL_GAP / 200
    assert all(b - a >= gap - 1e-9 for a, b in pairwise(placed))
    assert charts._spread([1.0, 9.0], 0, 10, 200) == [1.0, 9.0]


def test_importing_the_report_is_light():
    """Neither Altair, nor the renderer, nor torch is loaded until a chart is drawn."""
    code = "import sys, trueline.evaluate.report; print(sorted({'altair', 'vl_convert', 'torch'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"
