"""Pooling: seeds are matched by name, statuses are read anew, and what only some seeds measured says so.

pytest tests/evaluate/test_over_seeds.py
"""

from __future__ import annotations

from typing import Any

from trueline.core.replicates import replicated
from trueline.core.stats import wilson
from trueline.core.types import Rate
from trueline.evaluate.over_seeds import pooled, seed_table
from trueline.evaluate.report import render
from trueline.evaluate.shown import curves, expect, plain, table


def report(hits: int, unless: str = "", bonus: bool = False) -> dict[str, Any]:
    """One seed's report, with a success of `hits` in 100."""
    rate = wilson(hits, 100)
    rung = {"stage": "safety", "attack": {"direct": plain(rate)}, "gold": {}, "two_by_two": {"refuse_gave": hits}, "kl": None}
    rows = [["direct", rate, 10 * hits], *([["extra", rate, 1]] if bonus else [])]
    return {
        "ladder": [rung],
        "gates": [{"name": "g", "status": "PASS" if hits < 50 else "FAIL", "value": plain(rate), "needs": 0.5}],
        "expectations": [expect("low", "it is low", None if unless else rate, most=0.5, unless=unless)],
        "shown": [
            {"stage": "s", "tables": [table("T", ["a", "b", "c"], rows)], "curves": [curves("C", "x", {"l": [(0, rate)]})]}
        ],
    }


def test_every_rate_becomes_its_mean_over_seeds() -> None:
    """Ladder, gates, tables and expectations hold the same pooled rate where they held the same rate."""
    found = pooled([report(10), report(20), report(30)])
    right = plain(replicated([wilson(h, 100) for h in (10, 20, 30)]))
    assert found["ladder"][0]["attack"]["direct"] == right
    assert found["gates"][0]["value"] == right
    assert found["shown"][0]["tables"][0]["rows"][0] == ["direct", right, 200]
    assert found["expectations"][0]["value"] == right
    assert found["ladder"][0]["two_by_two"] == {"refuse_gave": 60}


def test_a_status_is_read_off_the_pooled_interval() -> None:
    """Seeds that pass one by one may be inconclusive together, since they differ too much."""
    seeds = [report(0), report(0), report(36)]
    assert [s["expectations"][0]["status"] for s in seeds] == ["PASS"] * 3
    assert pooled(seeds)["expectations"][0]["status"] == "INCONCLUSIVE"


def test_a_difference_that_is_held_against_zero_may_fall_below_it() -> None:
    """Seeds that are all a little above nothing, and differ, do not show that there is something."""
    rises = [Rate(value=v, n=100, low=v - 0.01, high=v + 0.01) for v in (0.01, 0.02, 0.30)]
    reports = [{"expectations": [expect("rises", "it rises", rise, least=0.0)]} for rise in rises]
    found = pooled(reports)["expectations"][0]
    assert (found["status"], found["value"]["low"] < 0) == ("INCONCLUSIVE", True)


def test_a_gate_that_fails_on_one_seed_fails() -> None:
    """What leans on it may not speak for all seeds."""
    assert pooled([report(10), report(60)])["gates"][0]["status"] == "FAIL"


def test_an_expectation_that_was_not_available_on_a_seed_says_on_how_many() -> None:
    """The seeds that measured it are pooled; where none did, it stays N/A with the reason."""
    some = pooled([report(1), report(2), report(3, unless="its gate failed")])["expectations"][0]
    assert some["value"]["n"] == 200
    assert "1 of 3 seeds" in some["why"]
    none = pooled([report(3, unless="its gate failed")] * 2)["expectations"][0]
    assert (none["status"], none["why"]) == ("N/A", "its gate failed")


def test_the_band_of_a_curve_is_between_seeds() -> None:
    """Seeds that differ have a wide band, as the same rate has in a table; narrow bands of theirs do not make it narrow."""
    seeds = [report(5), report(95), report(50)]
    point = pooled(seeds)["shown"][0]["curves"][0]["series"][0]["points"][0]
    right = replicated([wilson(h, 100) for h in (5, 95, 50)])
    assert (point["value"], point["low"], point["high"], point["n"]) == (right.value, right.low, right.high, 300)


def test_cells_that_cannot_be_averaged_are_listed_seed_by_seed() -> None:
    """A date that one seed never reached is not lost, nor averaged away."""
    seeds = [report(10), report(20), report(30)]
    for seed, value in zip(seeds, (1, "none", 2), strict=True):
        seed["shown"][0]["tables"][0]["rows"][0][2] = value
    assert pooled(seeds)["shown"][0]["tables"][0]["rows"][0][2] == "1, none, 2"


def test_a_row_that_only_some_seeds_have_is_kept() -> None:
    """A family that one seed met alone is pooled over that seed."""
    rows = pooled([report(10), report(20, bonus=True)])["shown"][0]["tables"][0]["rows"]
    assert rows[1] == ["extra", plain(wilson(20, 100)), 1]


def test_the_replicates_themselves_are_shown() -> None:
    """Whoever doubts the mean sees each seed."""
    found = seed_table({0: report(10), 5: report(20)})
    assert found["columns"] == ["expectation", "seed 0", "seed 5"]
    assert [Rate(**cell).value for cell in found["rows"][0][1:]] == [0.1, 0.2]


def test_the_pooled_report_is_a_report() -> None:
    """The page of many seeds is drawn by what draws the page of one."""
    page = render({"run": "r", "recipe": "align", "stages": [], **pooled([report(10), report(20)])})
    assert "direct" in page
    assert "T" in page
