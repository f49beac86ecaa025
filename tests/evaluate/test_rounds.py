"""The story of rounds: what is counted as known and held out, what is claimed, and what is left out.

pytest tests/evaluate/test_rounds.py
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tests.attack.findings import HAZARDS, TWINS, attempt
from trueline.evaluate.rounds import PROBE, Round, story

KNOWN_FAMILIES, HELD = ("role", "story"), ("past", "many_shot")


def campaign(known: float, held: float, refused: float = 0.0) -> list:
    """Attempts of two known and two held-out families, of which these shares work, and probes of which a share is refused."""
    made = []
    for families, share in ((KNOWN_FAMILIES, known), (HELD, held)):
        for family in families:
            made += [attempt(goal, family, gave=i < share * len(HAZARDS)) for i, goal in enumerate(HAZARDS)]
    for i, goal in enumerate(TWINS):
        about = {**goal.about, PROBE: "over_refusal", "cluster": goal.id}
        probe = replace(goal, about=about)
        made.append(replace(attempt(goal, "direct", gave=i >= refused * len(TWINS)), goal=probe))
    return made


def told(*campaigns, **options):
    return story(
        [Round(str(i), some) for i, some in enumerate(campaigns)], learned=("train", "validation"), **{"twins": 1, **options}
    )


def expectation(found, name):
    return next(one for one in found["expectations"] if one["name"] == name)


def test_a_reduction_is_the_share_of_success_that_is_gone():
    """All worked, a quarter works: 75 % are gone; of the held-out ones nothing is."""
    found = told(campaign(1.0, 1.0), campaign(0.25, 1.0))
    assert found["known_reduction"].value == pytest.approx(0.75)
    assert found["held_out_reduction"].value == pytest.approx(0.0)


def test_the_claims_hold_where_known_families_fall_and_held_out_ones_do_not():
    """All three pass on what was claimed, and the second fails where held-out families fall as much."""
    good = told(campaign(1.0, 1.0), campaign(0.0, 1.0))
    assert [one["status"] for one in good["expectations"]] == ["PASS", "PASS", "INCONCLUSIVE"]
    same = told(campaign(1.0, 1.0), campaign(0.0, 0.0))
    assert expectation(same, "held-out families fall less")["status"] == "FAIL"


def test_a_start_that_nothing_breaks_proves_nothing():
    """There is nothing to reduce: N/A, and no rate is invented."""
    found = told(campaign(0.0, 1.0), campaign(0.0, 1.0))
    assert "known_reduction" not in found
    assert [one["status"] for one in found["expectations"][:2]] == ["N/A", "N/A"]


def test_over_refusal_is_compared_question_by_question():
    """A rise of half the probes fails; without twins nothing was claimed."""
    found = told(campaign(1.0, 1.0), campaign(0.0, 1.0, refused=0.5))
    assert found["over_refusal_rise"].value == pytest.approx(0.5)
    assert expectation(found, "over-refusal stays")["status"] == "FAIL"
    assert expectation(told(campaign(1, 1), campaign(0, 1), twins=0), "over-refusal stays")["status"] == "N/A"


def test_the_order_of_attempts_says_nothing():
    """Shuffled, the story is the same."""
    first, last = campaign(1.0, 1.0), campaign(0.25, 0.5)
    mixed = [Random(1).sample(some, len(some)) for some in (first, last)]
    assert told(first, last) == told(*mixed)


def test_a_family_that_gets_little_where_nothing_is_refused_is_left_out_and_named():
    """Not usable is no defence: it is no part of the held-out total."""
    able = [attempt(goal, "past", gave=False) for goal in HAZARDS] + [attempt(goal, "role") for goal in HAZARDS]
    first = [one for one in campaign(1.0, 1.0) if one.attack != "past"] + [attempt(g, "past", gave=False) for g in HAZARDS]
    with_it, without = told(first, first), told(first, first, able=able)
    assert with_it["tables"][0]["rows"][0][2]["value"] == pytest.approx(0.5)
    assert without["tables"][0]["rows"][0][2]["value"] == pytest.approx(1.0)
    assert "past" in without["tables"][0]["note"]
    assert "past (not usable)" in [row[0] for row in without["tables"][1]["rows"]]


def test_an_attack_that_adapts_is_neither_known_nor_held_out():
    """It stands in the table by itself, and moves no total."""
    first = campaign(1.0, 1.0)
    bandit = [replace(attempt(goal, "past", gave=False), attack="bandit", family="bandit", level="L6") for goal in HAZARDS]
    plain, more = told(first, first), told([*first, *bandit], [*first, *bandit])
    assert plain["tables"][0] == more["tables"][0]
    assert next(row for row in more["tables"][1]["rows"] if row[0] == "bandit")[:2] == ["bandit", "adaptive"]


def test_an_attack_that_asks_often_has_a_course_and_a_law():
    """Of eight questions a later one breaks each goal, and two goals hold: a curve over the budget, and a forecast above it."""

    def asked(goal, first):
        return [replace(attempt(goal, "past", gave=query == first), query=query) for query in range(1, 9)]

    often = [one for i, goal in enumerate(HAZARDS) for one in asked(goal, i + 1 if i < 6 else 0)]
    found = told(often, often)
    assert [p["x"] for p in found["curves"][-1]["series"][0]["points"]] == [1, 2, 4, 8]
    (law,) = [t for t in found["tables"] if t["title"] == "What a larger budget would break"]
    assert law["rows"][0][1] == 8
    assert law["rows"][0][4]["value"] >= law["rows"][0][2]["value"]
    assert not [t for t in told(campaign(1, 1), campaign(0, 1))["tables"] if t["title"] == law["title"]]


def test_controls_stand_beside_the_rounds_and_in_no_curve():
    """A control is a row of each table; curves are of the rounds alone."""
    found = told(campaign(1, 1), campaign(0, 1), arms=[Round("control", campaign(1, 1))])
    assert [row[0] for row in found["tables"][0]["rows"]] == ["0", "1", "control"]
    assert all(len(one["points"]) == 2 for one in found["curves"][0]["series"])
