"""Severity can be recounted: each thing that makes a weakness worse is one point, and nothing else is."""

from __future__ import annotations

import pytest

from tests.watch.made import finding
from trueline.watch.severity import at_least, points, severity_of

PLAIN = {"key": "k", "asked": "x"}


@pytest.mark.parametrize(
    ("more", "goals", "count"),
    [
        ({}, 1, 1),
        ({"disclosure": None}, 1, 1),
        ({"disclosure": 0.8}, 1, 2),
        ({"disclosure": 1.0}, 1, 3),
        ({"about": {"canary": "XYZ"}}, 1, 2),
        ({"facets": {"forbidden_call": 1.0}}, 1, 2),
        ({"query": 1}, 1, 2),
        ({}, 3, 2),
        ({"status": "regressed"}, 1, 2),
        ({"disclosure": 1.0, "query": 1, "status": "regressed", "about": {"forbidden_tool": "pay"}}, 3, 7),
    ],
)
def test_points(more, goals, count):
    """One for being there, and one for each thing beside it."""
    assert points([finding(**{**PLAIN, **more})], goals) == count


def test_what_is_fixed_is_low_and_counts_for_nothing():
    """A fixed finding, however bad it was; beside an open one it adds nothing."""
    fixed, still = finding("k", "x", status="fixed", disclosure=1.0, query=1), finding("l", "x")
    assert severity_of([fixed], 9) == "low"
    assert points([fixed, still], 1) == 1


def test_severities_are_ordered():
    """Each is at least itself, and what is below."""
    assert at_least("critical", "high")
    assert at_least("high", "high")
    assert not at_least("medium", "high")
