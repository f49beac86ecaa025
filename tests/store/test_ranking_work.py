"""Tests of store/ranking_work.py: who gets what, leases, drafts, undo, and ten annotators at once."""

import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.ranked import GIVEN, START, at, project
from trueline.store.opening import open_database
from trueline.store.ranking import answers, history, items, progress, set_priorities
from trueline.store.ranking_records import Given, LeaseError
from trueline.store.ranking_work import next_item, reopen, save_draft, shuffled, submit

ROOT = Path(__file__).parents[2]
ANNOTATOR = """
import sys
from tests.store.test_ranking_work import work
from trueline.store.opening import open_database
from trueline.store.ranking import named

engine, start = open_database(sys.argv[1]), float(sys.argv[3])
while work(engine, named(engine, "first"), sys.argv[2], most=1, start=start):
    print("answered", flush=True)
    start += 1
"""


def work(engine, made, person, most=100, start=0.0):
    """Answer what is offered, a second each, and return the assignments."""
    done = []
    while len(done) < most and (offer := next_item(engine, made.id, person, at(start + len(done)))).assignment:
        submit(engine, offer.assignment.id, person, GIVEN, at(start + len(done) + 0.5))
        done.append(offer.assignment)
    return done


def test_the_same_answers_give_the_same_next_items(tmp_path):
    """Two databases hand the same person the same items, orders of cards and kinds; another person's cards lie otherwise."""
    sequences = []
    for name in ("a", "b"):
        engine = open_database(tmp_path / f"{name}.db")
        made = project(engine, n=12, gold=3, overlap=2, gold_share=0.2, repeat_share=0.2, id="same")
        sequences.append([(a.item, a.kind, a.shown) for a in work(engine, made, "ann")])
    assert sequences[0] == sequences[1]
    orders = {shuffled(0, person, "item", 0, 5) for person in map(str, range(40))}
    assert len(orders) > 20
    assert shuffled(3, "ann", "item", 0, 5) == shuffled(3, "ann", "item", 0, 5)
    assert {shuffled(0, "ann", "item", turn, 5) for turn in range(40)} != {shuffled(0, "ann", "item", 0, 5)}


def test_nobody_holds_a_slot_too_many(url):
    """With an overlap of two, a third annotator gets no item that two others hold, and is told that all is taken, not done."""
    engine = open_database(url)
    made = project(engine, n=1, overlap=2)
    assert all(next_item(engine, made.id, person, START).assignment for person in ("ann", "bob"))
    assert next_item(engine, made.id, "cleo", START).why == "busy"
    for person in ("ann", "bob"):
        work(engine, made, person)
    assert next_item(engine, made.id, "cleo", START).why == "done"


def test_asking_again_gives_what_is_held(url):
    """Who holds an item gets the same one with their draft, and not a second."""
    engine = open_database(url)
    made = project(engine)
    first = next_item(engine, made.id, "ann", START)
    save_draft(engine, first.assignment.id, "ann", GIVEN, at(5))
    again = next_item(engine, made.id, "ann", at(6))
    assert again.assignment.id == first.assignment.id
    assert (first.draft, again.draft) == (None, GIVEN)
    assert again.assignment.expires > first.assignment.expires  # a draft prolongs the lease


def test_a_lease_that_ran_out_frees_the_slot_and_keeps_the_draft(url):
    """Another gets the item; its first annotator, too late, is refused, and the draft is still theirs to read."""
    engine = open_database(url)
    made = project(engine, n=1, lease=60)
    first = next_item(engine, made.id, "ann", START).assignment
    save_draft(engine, first.id, "ann", GIVEN, START)
    assert next_item(engine, made.id, "bob", at(59)).why == "busy"
    assert next_item(engine, made.id, "bob", at(61)).assignment.item == first.item
    with pytest.raises(LeaseError, match="another annotator has taken it over"):
        submit(engine, first.id, "ann", GIVEN, at(62))
    assert next_item(engine, made.id, "ann", at(62)).why == "busy"
    assert [a.given for a in answers(engine, made.id, person="ann", status="draft")] == [GIVEN]
    assert next_item(engine, made.id, "ann", at(130)).assignment.id == first.id  # bob's ran out, too: ann goes on


def test_who_is_late_but_not_replaced_may_still_submit(url):
    """A lease that ran out while nobody took the slot loses nobody's work."""
    engine = open_database(url)
    made = project(engine, n=1, lease=60)
    first = next_item(engine, made.id, "ann", START).assignment
    assert submit(engine, first.id, "ann", GIVEN, at(600)).status == "submitted"
    assert next_item(engine, made.id, "bob", at(601)).why == "done"


def test_an_item_is_answered_only_by_whom_it_was_given_to(url):
    """Nobody submits another's assignment, nor changes their own answer without taking it back; a second click is no error."""
    engine = open_database(url)
    made = project(engine)
    mine = next_item(engine, made.id, "ann", START).assignment.id
    with pytest.raises(LeaseError, match="not given to you"):
        submit(engine, mine, "bob", GIVEN, START)
    once = submit(engine, mine, "ann", GIVEN, START)
    assert submit(engine, mine, "ann", GIVEN, at(1)) == once
    with pytest.raises(LeaseError, match="submitted already"):
        submit(engine, mine, "ann", replace(GIVEN, helpful=(3, 2, 1)), at(1))
    assert [e.kind for e in history(engine, made.id)] == ["leased", "submitted"]


def test_undo_brings_back_the_last_answer_and_keeps_its_slot(url):
    """What was submitted is a draft again, holds its slot however long it takes, and both versions stay in the history."""
    engine = open_database(url)
    made = project(engine, n=2, lease=60)
    first, second = work(engine, made, "ann", most=2)
    assert reopen(engine, made.id, "ann", at(10)).assignment.id == second.id
    assert reopen(engine, made.id, "ann", at(11)).assignment.id == first.id
    assert next_item(engine, made.id, "bob", at(5000)).why == "done"  # both slots are kept
    assert next_item(engine, made.id, "ann", at(5000)).assignment.id == first.id
    submit(engine, first.id, "ann", replace(GIVEN, helpful=(3, 2, 1)), at(5000))
    given = [e.given.helpful for e in history(engine, made.id, first.item) if e.kind == "submitted"]
    assert given == [(1, 2, None), (3, 2, 1)]
    assert progress(engine, made.id).submitted == 1
    with pytest.raises(ValueError, match="no answer of yours"):
        reopen(engine, made.id, "cleo", at(1))


def test_what_is_skipped_goes_to_others_and_not_back(url):
    """A skipped item frees its slot and does not return to who skipped it; a discarded one is out once enough say so."""
    engine = open_database(url)
    made = project(engine, n=1, overlap=2)
    for person in ("ann", "bob"):
        given_out = next_item(engine, made.id, person, START).assignment
        submit(engine, given_out.id, person, Given(), START, status="skipped")
        assert next_item(engine, made.id, person, START).why == "done"
    for person in ("cleo", "dan"):
        given_out = next_item(engine, made.id, person, START).assignment
        submit(engine, given_out.id, person, Given(reason="not a question"), START, status="discarded")
    assert next_item(engine, made.id, "eve", START).why == "done"
    assert reopen(engine, made.id, "ann", START).assignment


def test_the_cap_ends_the_day_and_not_the_next(url):
    """After so many answers on one day (UTC) there is nothing more, and at midnight there is."""
    engine = open_database(url)
    made = project(engine, n=5, cap=2)
    assert len(work(engine, made, "ann")) == 2
    assert next_item(engine, made.id, "ann", at(60)).why == "cap"
    assert next_item(engine, made.id, "ann", at(12 * 3600)).assignment


def test_gold_and_repeats_come_at_their_shares_and_take_no_slot(url):
    """Both kinds are given out about as often as asked, apart from their first showing, and nobody else's overlap shrinks."""
    engine = open_database(url)
    made = project(engine, n=60, gold=60, gold_share=0.25, repeat_share=0.25)
    done = work(engine, made, "ann", most=100)
    kinds = Counter(a.kind for a in done)
    assert 13 <= kinds["gold"] <= 38  # 25 expected, three standard deviations
    assert 13 <= kinds["repeat"] <= 38
    last: dict[str, int] = {}
    for a in done:
        if a.kind == "repeat" and a.number > 20:
            assert a.number - last[a.item] > 5
        last[a.item] = a.number
    found = progress(engine, made.id)
    assert found.submitted == kinds["new"] == found.complete


def test_the_most_urgent_items_come_first_where_a_project_asks_for_it(url):
    """Priorities decide in a project that chooses the uncertain, and mean nothing in one that chooses at random."""
    engine = open_database(url)
    for choosing in ("uncertain", "random"):
        made = project(engine, n=6, name=choosing, choosing=choosing)
        before = [found.id for found in items(engine, made.id)]
        set_priorities(engine, made.id, {key: float(i) for i, key in enumerate(before)})
        order = [a.item for a in work(engine, made, "ann")]
        assert order == (before[::-1] if choosing == "uncertain" else before)


def test_ten_annotators_at_once_lose_nothing_and_double_nothing(url):
    """Ten threads, each with an engine of its own: every item gets exactly its overlap, from different people."""
    made = project(open_database(url), n=8, overlap=3)
    failed = []

    def annotate(person):
        try:
            engine = open_database(url)
            while (offer := next_item(engine, made.id, person, START)).why != "done":
                if offer.assignment:
                    save_draft(engine, offer.assignment.id, person, GIVEN, START)
                    assert most_held(engine, made) <= 3
                    submit(engine, offer.assignment.id, person, GIVEN, START)
            engine.dispose()
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=annotate, args=(f"person {i}",)) for i in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failed
    done = answers(open_database(url), made.id)
    assert {a.status for a in done} == {"submitted"}
    assert Counter(Counter(a.assignment.item for a in done).values()) == {3: 8}
    assert len({(a.assignment.item, a.assignment.person) for a in done}) == 24
    events = Counter(e.kind for e in history(open_database(url), made.id))
    assert events == {"leased": 24, "submitted": 24}


def most_held(engine, made):
    """The most drafts and answers that any item has just now."""
    return max(Counter(a.assignment.item for a in answers(engine, made.id)).values())


def test_an_annotator_killed_at_any_moment_leaves_nothing_half_done(tmp_path):
    """A process that annotates is killed, three times over; every answer is whole, its event is there, and the rest is done."""
    file = tmp_path / "a.db"
    engine = open_database(file)
    made = project(engine, n=16, overlap=2, lease=1)
    for i, person in enumerate(("ann", "bob", "ann")):
        words = [sys.executable, "-c", ANNOTATOR, str(file), person, str(1000 * i)]
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(3 + i):
            assert process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
    for person in ("ann", "bob"):
        work(engine, made, person, start=9000.0)
    done = answers(engine, made.id)
    assert Counter(Counter(a.assignment.item for a in done).values()) == {2: 16}
    assert {a.status for a in done} == {"submitted"}
    submitted = [e.assignment for e in history(engine, made.id) if e.kind == "submitted"]
    assert sorted(submitted) == sorted(a.assignment.id for a in done)
