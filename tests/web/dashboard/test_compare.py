"""Tests of the page that compares: paired where items are kept, apart where not, and each goal leads to what broke it."""

from __future__ import annotations

import pytest

from tests.web.dashboard.planted import CAMPAIGN, OTHER, TRAINING, dashboard, folder_name
from tests.web.site.visiting import Browser
from trueline.recipes.comparing import read_both, told
from trueline.store.opening import open_database


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A full dashboard and its folder."""
    folder = tmp_path_factory.mktemp("compared")
    return Browser(dashboard(folder)), folder


def test_two_campaigns_are_compared_by_the_same_goals(shown):
    """The page says what the command computes; what one alone breaks is listed with a way to its transcript."""
    browser, folder = shown
    found = browser.get(f"/compare.json?a={CAMPAIGN}&b={OTHER}").json()
    both = read_both(folder / "runs" / CAMPAIGN, folder / "runs" / OTHER, database=open_database(folder / "web.db"))
    expected = told(both, found["margin"])
    assert (found["kind"], found["verdict"]) == ("paired", expected["verdict"])
    assert {one["metric"]: one["wins"] for one in found["metrics"]} == {k: v["wins"] for k, v in expected["metrics"].items()}
    (alone,) = found["only"]
    assert (alone["side"], alone["n"]) == ("a", 4)
    transcript = browser.get(alone["items"][0]["href"])
    assert transcript.status_code == 200
    assert "so it is" in transcript.text
    assert browser.get(alone["items"][0]["href"].replace("?", ".json?")).json()["picked"]["total"] == 1


def test_a_run_is_not_worse_than_itself(shown):
    """Differences are zero, nothing is alone, whichever kind is compared."""
    browser, _ = shown
    paired = browser.get(f"/compare.json?a={CAMPAIGN}&b={CAMPAIGN}").json()
    assert {one["difference"]["value"] for one in paired["metrics"] if one["difference"]} == {0.0}
    assert paired["only"] == paired["differs"] == []
    apart = browser.get(f"/compare.json?a={folder_name(TRAINING, '')}&b={TRAINING}").json()
    assert apart["kind"] == "apart"
    assert {one["difference"]["value"] for one in apart["metrics"] if one["difference"]} == {0.0}
    assert {one["verdict"] for one in apart["metrics"]} <= {"cannot_tell", "not_measured"}


def test_rungs_of_a_ladder_are_compared_apart(shown):
    """A rung is named behind a slash; swapping the two turns each difference round; an unknown rung is not there."""
    browser, _ = shown
    one, other = (
        browser.get(f"/compare.json?a={TRAINING}/{a}&b={TRAINING}/{b}").json() for a, b in (("sft", "dpo"), ("dpo", "sft"))
    )
    for ours, theirs in zip(one["metrics"], other["metrics"], strict=True):
        if ours["difference"]:
            assert ours["difference"]["value"] == pytest.approx(-theirs["difference"]["value"])
    assert browser.get(f"/compare?a={TRAINING}/none&b={TRAINING}").status_code == 404


def test_what_cannot_be_compared_says_why(shown):
    """A campaign and a training run have nothing in common, which is told and is no fault."""
    browser, _ = shown
    found = browser.get(f"/compare.json?a={CAMPAIGN}&b={TRAINING}").json()
    assert found["kind"] is None
    assert "nothing to compare" in found["why"]
    assert browser.get("/compare?a=none&b=none").status_code == 404
