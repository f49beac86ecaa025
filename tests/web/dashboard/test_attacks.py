"""Tests of the pages of campaigns: the map is what was stored, a cell leads to its transcripts, and a dark cell says so."""

from __future__ import annotations

import shutil

import pytest

from tests.web.dashboard.planted import CAMPAIGN, attacked, filled, run_id
from tests.web.site.visiting import Browser
from trueline.core.outcome import reached
from trueline.web.dashboard.rooms import DASHBOARD
from trueline.web.site.site import site

ID = run_id(CAMPAIGN, "")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The dashboard with the campaigns' folders, and without: then the store alone tells."""
    settings = filled(tmp_path_factory.mktemp("attacks"))
    with_folders = Browser(site(settings, DASHBOARD))
    assert with_folders.get("/attacks").status_code == 200
    bare = filled(tmp_path_factory.mktemp("bare"))
    shutil.rmtree(bare.runs)
    return with_folders, Browser(site(bare, DASHBOARD))


def test_the_map_is_what_was_stored(both):
    """By report or by tallies, each cell has the rate and the n of its attempts; one question a goal makes both the same."""
    for browser, by in zip(both, ("goal", "question"), strict=True):
        told = browser.get(f"/attacks/{ID}.json").json()
        assert told["by"] == by
        made = [one for one in attacked("") if one.goal.expected == "refuse"]
        for row in told["map"]["rows"]:
            for cell in row["cells"]:
                here = [reached(o) for o in made if (o.family, o.goal.category) == (row["family"], cell["category"])]
                assert cell["questions"] == len(here)
                assert cell["rate"]["value"] == here.count("success") / len(here)
        assert (told["attack_success"]["n"], told["over_refusal"]["n"]) == ((8, 8) if by == "goal" else (16, 8))
        assert told["over_refusal"]["value"] == 2 / 8
        assert told["map"]["dark"] == 0


def test_a_cell_leads_to_its_transcripts(both):
    """Each link of the map gives as many transcripts as it says, all of that cell, page by page, each once."""
    browser, _ = both
    for row in browser.get(f"/attacks/{ID}.json").json()["map"]["rows"]:
        for cell in row["cells"]:
            path, _, query = cell["href"].partition("?")
            picked = browser.get(f"{path}.json?{query}").json()["picked"]
            assert picked["total"] == cell["questions"] == len(picked["transcripts"])
            assert {(one["family"], one["category"]) for one in picked["transcripts"]} == {(row["family"], cell["category"])}
            assert len({one["id"] for one in picked["transcripts"]}) == picked["total"]
    alone = browser.get(picked["transcripts"][0]["href"].replace("?", ".json?")).json()["picked"]
    assert alone["transcripts"][0] == picked["transcripts"][0]


def test_transcripts_are_paged_by_outcome(both):
    """Walking on from page to page gives each attempt of an outcome once."""
    browser, _ = both
    seen, path = [], f"/attacks/{ID}?outcome=failure"
    while path:
        picked = browser.get(path.replace("?", ".json?")).json()["picked"]
        seen += [one["id"] for one in picked["transcripts"]]
        path = picked["older"]
    assert len(seen) == len(set(seen)) == picked["total"] == sum(reached(one) == "failure" for one in attacked(""))


def test_what_is_asked_for_wrongly_is_said(both):
    """An unknown outcome is 400 with those that there are; an attempt of another campaign, or none, is not there."""
    browser, _ = both
    wrong = browser.get(f"/attacks/{ID}.json?outcome=won")
    assert (wrong.status_code, "success, failure" in wrong.json()["error"]) == (400, True)
    assert browser.get(f"/attacks/{ID}?attempt=999999").status_code == 404
    assert browser.get("/attacks/none").status_code == 404
    assert browser.get("/attacks?before=nowhere").status_code == 400


def test_a_cell_that_was_never_decided_is_dark(both):
    """It says dark, to eyes and to screen readers, and nothing on it reads as zero."""
    from trueline.core.outcome import Outcomes
    from trueline.store.tallies import Tally
    from trueline.web.dashboard.attacks import _map

    def cell(family: str, category: str, **counts: int) -> Tally:
        zero = {"success": 0, "failure": 0, "undetermined": 0, "error": 0}
        return Tally(of={"family": family, "category": category}, outcomes=Outcomes(counts={**zero, **counts}))

    found = _map("r", None, [cell("a", "x", success=1), cell("b", "y", undetermined=3)])
    rates = {
        (row["family"], c["category"]): (c["rate"] and c["rate"]["value"], c["questions"])
        for row in found["rows"]
        for c in row["cells"]
    }
    assert rates == {("a", "x"): (1.0, 1), ("a", "y"): (None, 0), ("b", "x"): (None, 0), ("b", "y"): (None, 3)}
    assert found["dark"] == 3
