"""Tests of the watch's pages: rates are what rounds wrote, changes are marked where they began, and who is at it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.web.dashboard.planted import dashboard
from tests.web.site.visiting import Browser
from trueline.store.watches import AlertRow, RoundRow
from trueline.web.dashboard.watches import _curves, round_told, sentinels

ROUND = RoundRow(
    watch="w", number=1, state="done", holder="h", run="", started="2026-01-01", ended="2026-01-01", plan={}, result={}
)  # fmt: skip


def change(number: int, **record: Any) -> AlertRow:
    """An alert that the target changed."""
    return AlertRow(
        id="a", watch="w", number=number, kind="change", severity="high", text="", record=record, created="2026-01-01", sent={}
    )  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A full dashboard."""
    return Browser(dashboard(tmp_path_factory.mktemp("watch")))


def test_a_round_shows_the_rates_that_it_wrote():
    """Written rates come first; without them the sentinels are counted; strange results are not measured, and never zero."""
    written = {"value": 0.5, "n": 9, "low": 0.1, "high": 0.9}
    seen = {"gave": {"a": True, "b": False}, "refused": {"c": False}}
    told = sentinels(replace(ROUND, result={"rates": {"attack_success": written}, "sentinels": seen}))
    assert [(one.value, one.n) for one in told] == [(0.5, 9), (0.0, 1)]
    strange: list[dict[str, Any]] = [
        {}, {"sentinels": None}, {"sentinels": {"gave": [1]}}, {"rates": [1]},
        {"sentinels": {"gave": {"a": "yes"}, "refused": {}}},
    ]  # fmt: skip
    for result in strange:
        assert sentinels(replace(ROUND, result=result)) == (None, None)
        told_of = round_told(replace(ROUND, result=result))
        assert told_of["attack_success"] is told_of["over_refusal"] is told_of["questions"] is None


def test_what_a_round_found_is_counted():
    """New findings, those that were fixed or came back, the verdict and what was spent, as the round wrote them."""
    result = {
        "verdict": {"verdict": "regressed"}, "found": {"new": ["k1", "k2"]}, "bank": {"fixed": [], "regressed": ["k3"]},
        "spent": {"questions": 120},
    }  # fmt: skip
    told = round_told(replace(ROUND, result=result))
    assert [told[name] for name in ("verdict", "new", "fixed", "regressed", "questions")] == ["regressed", 2, 0, 1, 120]


def test_a_change_is_marked_where_it_began_and_on_what_changed():
    """At the round that its alert names, on the line of its series; one of another series (latency) on both lines."""
    seen = {"gave": {"a": True}, "refused": {"c": False}}
    made = [replace(ROUND, number=number, result={"sentinels": seen}) for number in range(1, 9)]

    def marks(alert: AlertRow) -> list[list[float]]:
        return [[s["points"][0][0] for s in one["series"] if s["muted"]] for one in _curves(made, [alert])]

    assert marks(change(6, since=4, series="attack success")) == [[4.0], []]
    assert marks(change(6, since=4, series="over-refusal")) == [[], [4.0]]
    assert marks(change(6, series="latency")) == [[6.0], [6.0]]
    assert marks(change(6, since=99)) == [[], []]


def test_a_watch_says_when_it_is_due_and_who_is_at_it(browser):
    """The list and the watch agree; the round under way has no rates yet; alerts lead to their watch."""
    (listed,) = browser.get("/watch.json").json()["watches"]
    shown = browser.get("/watch/watch.json").json()
    assert {name: shown[name] for name in listed} == listed
    assert (listed["every_said"], listed["last"]["number"], listed["last"]["state"]) == ("1 h 0 min", 5, "running")
    assert [one["number"] for one in shown["rounds"]] == [5, 4, 3, 2, 1]
    assert [one["number"] for one in shown["rounds"] if one["changed"]] == [4]
    assert {one["href"] for one in shown["alerts"]} == {"/watch/watch"}
    assert browser.get("/watch/none").status_code == 404
