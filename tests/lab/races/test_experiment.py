"""E5 runs from its first stage to its expectations, and its figure is drawn from what was measured.

pytest tests/lab/races/test_experiment.py
"""

from __future__ import annotations

from random import Random
from xml.etree import ElementTree as ET

import pytest

from trueline.lab.experiment import experiment
from trueline.lab.races.boat import boat
from trueline.lab.races.drawing import chart, strip
from trueline.lab.races.exact import optimum
from trueline.lab.races.exactly import drawn
from trueline.lab.races.race import sail
from trueline.lab.registration import registered
from trueline.lab.running import Lab


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """One development seed at the smallest size."""
    return Lab(tmp_path_factory.mktemp("lab") / "smoke", "smoke").run("E5", [0])


def test_every_expectation_is_measured(found):
    """None is N/A: each has a value from some stage, and what is exact holds at any size."""
    rows = {row["name"]: row for row in found["expectations"]}
    assert rows.keys() == {f"E5.{entry.id}" for entry in registered("E5").entries}
    assert all(row["value"] for row in rows.values())
    assert rows["E5.tied"]["status"] == rows["E5.hackable"]["status"] == "PASS"


def test_the_figure_holds_what_was_measured(found):
    """Three panels with data inside; a report without these stages has none."""
    spec = experiment("E5").figure(found)
    assert len(spec["hconcat"]) == 3
    assert spec["hconcat"][0]["data"]["values"]
    assert all(point["episodes"] > 0 for point in data_of(spec["hconcat"][2]))  # its axis is logarithmic
    assert experiment("E5").figure({"shown": []}) is None


def data_of(panel):
    """The values of a layered panel, wherever altair puts them."""
    return [value for part in (panel, *panel["layer"]) for value in part.get("data", {}).get("values", ())]


def test_courses_are_drawn_as_arrows_maps_and_svg():
    """Fifty times there and forty-nine times back, after a step that is spare; the picture is well-formed."""
    race = boat()
    episode = sail(race, optimum(race).policy, Random(0))
    assert strip(race, episode).startswith("·→←→←→←")
    assert chart(race, episode).splitlines()[1].split()[-3:] == ["51", "50", "."]
    assert ET.fromstring(drawn()).tag.endswith("svg")
