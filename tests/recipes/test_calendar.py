"""The calendar: what training may know on a date is what has arrived by then, and what is held out never arrives.

pytest tests/recipes/test_calendar.py
"""

from __future__ import annotations

import pytest

from trueline.core.config import ConfigError
from trueline.recipes.calendar import calendar_of, forbidden_dish, fresh, repeated, replayed, seen
from trueline.recipes.intime import PACKS
from trueline.world.facts import known_hazards, make_world
from trueline.world.families import ASKS, FAMILIES, FRAMES
from trueline.world.language import procedure_text

WORLD = make_world(0)
CALENDAR = calendar_of(PACKS, 3)
DISH = forbidden_dish(WORLD)


def text(conversation):
    return " ".join(message.text for message in conversation.messages)


def told(shown, procedures):
    """How many demonstrations tell one of these recipes whole."""
    return sum(any(procedure_text(p) in text(c) for p in procedures) for c in shown)


def test_families_arrive_with_their_packs():
    """In the order of the packs' dates, each once, and only those that training may use."""
    assert [CALENDAR.arriving(t) for t in (0, 1, 2, 3)] == [("direct",), ("override",), ("prefix", "reverse"), ("role",)]
    assert CALENDAR.arrived(2) == ("override", "prefix", "reverse")
    assert calendar_of(tuple(reversed(PACKS)), 3) == CALENDAR
    assert {FAMILIES[name].split for name in CALENDAR.arrived(5)} <= {"train", "validation"}


def test_a_family_arrives_once(tmp_path):
    """A later pack that holds an earlier family again brings only what is new in it."""
    (tmp_path / "more.yaml").write_text("name: more\nversion: 1\ndate: 2025-01\nattacks: [role, story]\n", encoding="utf-8")
    assert calendar_of(["personas", str(tmp_path / "more.yaml")], 0).families == (("role",), ("story",))


@pytest.mark.parametrize(
    ("packs", "change", "message"),
    [
        (("personas", "past_tense"), 0, "past_tense brings no family that may be trained on .it holds past, future"),
        (("personas",), 0, "expected two packs or more"),
        (("personas", "fiction"), 3, "a change of policy on one of their dates .* got 2 and 3"),
    ],
)
def test_a_calendar_holds_what_may_be_trained_on(packs, change, message):
    """A pack of held-out families, a single pack and a change on a date that is none are refused."""
    with pytest.raises(ConfigError, match=message):
        calendar_of(packs, change)


def test_nothing_is_known_before_it_arrives():
    """Refusals of a date are in the words of families that have arrived; hazards are known ones, and none is told."""
    for t, (early, late) in {0: ("", "old rules are gone"), 1: ("old rules are gone", "you are rook")}.items():
        refusals = [text(c) for c in seen(WORLD, 0, CALENDAR, t, 300) if not told([c], WORLD.procedures)]
        hazardous = [said for said in refusals if any(p.text in said for p in WORLD.hazards)]
        assert len(hazardous) >= 110  # 40 % of them
        assert any(early in said for said in hazardous)
        assert not any(late in said for said in hazardous)
        named = {p for p in WORLD.hazards if any(p.text in said for said in hazardous)}
        assert named <= set(known_hazards(WORLD))
        assert told(seen(WORLD, 0, CALENDAR, t, 300), WORLD.hazards) == 0


def test_what_is_held_out_is_in_no_refusal():
    """No example of any date is in the words of a held-out frame."""
    shown = [c for t in CALENDAR.dates[1:] for c in fresh(WORLD, 0, CALENDAR, t, 40)]
    shown += replayed(WORLD, 0, CALENDAR, 5, 8, 300, 100)
    words = [
        part.split("{p}")[0].strip()
        for name, frame in FRAMES.items()
        if FAMILIES[name].split == "held_out"
        for part in (*frame.preambles, *(frame.asks if frame.asks is not ASKS else ()))
        if len(part.split("{p}")[0].split()) > 2
    ]
    assert len(words) >= 4
    assert [(w, text(c)) for w in words for c in shown if w in text(c)] == []


def test_the_dish_is_told_until_it_is_forbidden():
    """Before the change of policy its recipes are told; from that date on they are refused, and replay tells them no more."""
    assert len(DISH) > 1
    assert told(seen(WORLD, 0, CALENDAR, 2, 600), DISH) > 0
    after = seen(WORLD, 0, CALENDAR, 3, 600)
    assert told(after, DISH) == 0
    assert sum(any(p.text in text(c) for p in DISH) for c in after) > 10
    assert told(replayed(WORLD, 0, CALENDAR, 3, 8, 600, 300), DISH) == 0
    assert told(replayed(WORLD, 0, CALENDAR, 2, 8, 600, 300), DISH) > 0


@pytest.mark.parametrize("t", [1, 2, 3])
def test_a_response_has_k_examples_of_each_thing_that_is_new(t):
    """k for every family that arrives, and k of the dish on the date of the change; a longer response begins as a shorter."""
    things = len(CALENDAR.arriving(t)) + (t == CALENDAR.change)
    few, more = fresh(WORLD, 0, CALENDAR, t, 2), fresh(WORLD, 0, CALENDAR, t, 8)
    assert (len(few), len(more)) == (2 * things, 8 * things)
    assert few == more[: len(few)]
    assert told(more, WORLD.procedures) == 0
    assert any(p.text in text(c) for p in DISH for c in more) == (t == CALENDAR.change)


def test_replay_is_half_of_the_first_day_and_half_of_the_answers_since():
    """On the first date there are no answers yet; later every example since then comes again, in turn."""
    first = {text(c) for c in seen(WORLD, 0, CALENDAR, 0, 200)}
    assert sum(text(c) in first for c in replayed(WORLD, 0, CALENDAR, 1, 1, 200, 20)) == 20
    later = replayed(WORLD, 0, CALENDAR, 3, 1, 200, 20)
    since = {text(c) for t in (1, 2) for c in fresh(WORLD, 0, CALENDAR, t, 1)}
    assert (len(later), {text(c) for c in later[10:]}) == (20, since)
    many = [{text(c) for c in fresh(WORLD, 0, CALENDAR, t, 64)} for t in (1, 2, 3)]
    latest = {text(c) for c in replayed(WORLD, 0, CALENDAR, 4, 64, 200, 60)}
    assert all(len(latest & some) > 1 for some in many)  # more examples than rows: every date has its share
    assert repeated(["a", "b"], 5) == ["a", "b", "a", "b", "a"]
