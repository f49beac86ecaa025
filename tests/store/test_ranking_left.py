"""Tests of store/ranking_left.py, and of drafts that two tabs hold at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.store.ranked import GIVEN, START, at, project
from trueline.store.opening import open_database
from trueline.store.ranking import answers
from trueline.store.ranking_left import left_for
from trueline.store.ranking_records import Given, LeaseError, StaleError
from trueline.store.ranking_work import assigned, next_item, save_draft, submit


def test_what_is_left_is_what_one_may_be_given(url):
    """It falls with each answer, counts what one holds, leaves out what others hold, and ends at nothing."""
    engine = open_database(url)
    made = project(engine, n=3, overlap=1, lease=60)
    held = next_item(engine, made.id, "bob", START).assignment
    assert left_for(engine, made, "ann", START).items == 2
    assert left_for(engine, made, "bob", START).items == 3
    assert left_for(engine, made, "ann", at(61)).items == 3  # bob's lease ran out
    submit(engine, held.id, "bob", GIVEN, START)
    seen = []
    while (offer := next_item(engine, made.id, "ann", START)).assignment:
        seen.append(left_for(engine, made, "ann", START).items)
        submit(engine, offer.assignment.id, "ann", GIVEN, START)
    assert seen == [2, 1]
    end = left_for(engine, made, "ann", START)
    assert (end.items, end.submitted, end.today) == (0, 2, 2)
    assert left_for(engine, made, "ann", at(12 * 3600)).today == 0  # another day


def test_what_was_given_is_read_by_its_owner_alone(url):
    """An assignment is read whatever became of it, and by nobody else."""
    engine = open_database(url)
    made = project(engine)
    offer = next_item(engine, made.id, "ann", START)
    assert assigned(engine, offer.assignment.id, "ann") == offer
    submit(engine, offer.assignment.id, "ann", GIVEN, START)
    assert assigned(engine, offer.assignment.id, "ann").draft == GIVEN
    with pytest.raises(LeaseError, match="not given to you"):
        assigned(engine, offer.assignment.id, "bob")


def test_a_draft_that_was_changed_meanwhile_is_not_replaced(url):
    """Who says which draft they knew is refused where another stands, and nothing is written; the same again is no error."""
    engine = open_database(url)
    made = project(engine)
    key = next_item(engine, made.id, "ann", START).assignment.id
    other = replace(GIVEN, helpful=(3, 2, 1))
    save_draft(engine, key, "ann", GIVEN, START, seen=lambda stands: stands is None)
    for write in (save_draft, submit):
        with pytest.raises(StaleError, match="another tab"):
            write(engine, key, "ann", other, START, seen=lambda stands: stands is None)
    assert [one.given for one in answers(engine, made.id)] == [GIVEN]
    save_draft(engine, key, "ann", other, START, seen=lambda stands: stands == GIVEN)
    for _ in range(2):
        submit(engine, key, "ann", other, START, seen=lambda stands: stands == other)
    assert submit(engine, key, "ann", other, START, seen=lambda stands: stands == Given()).status == "submitted"
