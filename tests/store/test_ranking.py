"""Tests of store/ranking.py and its records: a project is stored whole, read back, adjudicated and counted."""

from dataclasses import replace

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from tests.store.ranked import GIVEN, START, at, item, project
from trueline.store.opening import open_database
from trueline.store.ranking import (
    add_items,
    adjudicate,
    adjudications,
    answers,
    change,
    create,
    history,
    items,
    named,
    new_id,
    progress,
    projects,
    version,
)
from trueline.store.ranking_records import Assignment, Given, Item, Project, RankingError, as_shown, cards_of, in_item_order
from trueline.store.ranking_work import next_item, submit


def test_a_project_comes_back_as_it_went_in(url):
    """Settings and items survive the database, each item with an id, and the names of models with them."""
    engine = open_database(url)
    made = project(engine, n=3, overlap=2, questions=("helpful", "harmless"), guidelines="Be fair.", seed=5)
    assert named(engine, "first") == named(engine, made.id) == made
    assert projects(engine) == [made]
    read = items(engine, made.id)
    assert sorted((replace(found, id="") for found in read), key=lambda i: i.prompt.id) == [item(i) for i in range(3)]
    assert items(engine, made.id, ids=[read[1].id]) == [read[1]]


def test_a_name_is_taken_once_and_items_are_stored_once(url):
    """A second project of the name is refused with nothing written; the same items again, in any order of cards, are no new."""
    engine = open_database(url)
    made = project(engine, n=2)
    with pytest.raises(RankingError, match="'first' is there already"):
        project(engine, n=2)
    turned = replace(item(0), completions=item(0).completions[::-1])
    assert add_items(engine, made.id, [item(0), turned, item(7)]) == 1
    with pytest.raises(RankingError, match="expected items to rank, got none"):
        create(engine, Project(id=new_id(), name="empty", created=""), [])
    assert [found.name for found in projects(engine)] == ["first"]
    with pytest.raises(RankingError, match=r"no ranking project 'second'.*it has first"):
        named(engine, "second")


def test_settings_change_but_not_what_answers_depend_on(url):
    """Guidelines, overlap and the state change and are read back; the seed, the name and the questions do not."""
    engine = open_database(url)
    made = project(engine)
    change(engine, made.id, guidelines="New.", overlap=3, state="closed")
    assert (named(engine, "first").guidelines, named(engine, "first").overlap) == ("New.", 3)
    with pytest.raises(RankingError, match="keeps its seed"):
        change(engine, made.id, seed=1)
    with pytest.raises(RankingError, match="is closed"):
        add_items(engine, made.id, [item(9)])
    assert next_item(engine, made.id, "ann", START).why == "closed"
    change(engine, made.id, state="open")
    assert next_item(engine, made.id, "ann", START).assignment


def test_a_final_word_replaces_the_one_before_and_history_keeps_both(url):
    """The last adjudication of an item counts; both are in its history, with who said it and when."""
    engine = open_database(url)
    made = project(engine, n=1)
    (only,) = items(engine, made.id)
    adjudicate(engine, made.id, only.id, "judge", GIVEN, START)
    adjudicate(engine, made.id, only.id, "other", replace(GIVEN, helpful=(3, 2, 1)), at(5))
    found = adjudications(engine, made.id)[only.id]
    assert (found.person, found.given.helpful) == ("other", (3, 2, 1))
    assert [(e.kind, e.person, e.given.helpful) for e in history(engine, made.id, only.id)] == [
        ("adjudicated", "judge", (1, 2, None)),
        ("adjudicated", "other", (3, 2, 1)),
    ]
    with pytest.raises(RankingError, match="no item 'x'"):
        adjudicate(engine, made.id, "x", "judge", GIVEN, START)


def test_progress_counts_answers_people_and_what_is_complete(url):
    """An item is complete with all the answers wanted of it, and each annotator's work is counted by its kind."""
    engine = open_database(url)
    made = project(engine, n=2, overlap=2)
    for person, status in (("ann", "submitted"), ("bob", "submitted"), ("bob", "skipped")):
        offer = next_item(engine, made.id, person, START)
        submit(engine, offer.assignment.id, person, GIVEN, START, status=status)
    next_item(engine, made.id, "cleo", START)
    found = progress(engine, made.id)
    assert (found.items, found.complete, found.submitted, found.wanted) == (2, 1, 2, 4)
    assert {w.person: (w.submitted, w.skipped, w.open, w.seconds) for w in found.people} == {
        "ann": (1, 0, 0, 4.0),
        "bob": (1, 1, 0, 4.0),
        "cleo": (0, 0, 1, 0.0),
    }
    assert len(answers(engine, made.id)) == 3
    assert len(answers(engine, made.id, person="bob", status="skipped")) == 1


def test_what_is_kept_of_a_project_holds_until_something_happens(url):
    """The version grows with a lease, an answer and a final word, and reading changes nothing."""
    engine = open_database(url)
    made = project(engine, n=1)
    seen = [version(engine, made.id), version(engine, made.id)]
    offer = next_item(engine, made.id, "ann", START)
    seen.append(version(engine, made.id))
    submit(engine, offer.assignment.id, "ann", GIVEN, START)
    seen.append(version(engine, made.id))
    adjudicate(engine, made.id, offer.item.id, "judge", GIVEN, START)
    seen.append(version(engine, made.id))
    assert seen[0] == seen[1] < seen[2] < seen[3] < seen[4]


@over(st.permutations(range(5)), st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=5, max_size=5))
def test_what_is_shown_comes_back_in_the_items_order(shown, ranks):
    """Whatever the order of cards, as_shown undoes in_item_order, and nothing stays nothing."""
    given_out = Assignment(
        id="", project="", item="", person="", number=1, turn=0, kind="new", shown=tuple(shown), created="", expires=""
    )
    assert as_shown(in_item_order(ranks, given_out), given_out) == tuple(ranks)
    assert in_item_order((), given_out) == as_shown((), given_out) == ()


def test_cards_carry_no_models_name(url):
    """Cards hold all texts in the order shown, and no field that says who said them."""
    engine = open_database(url)
    made = project(engine, n=1)
    offer = next_item(engine, made.id, "ann", START)
    cards = cards_of(offer.item, offer.assignment)
    assert [card.text for card in cards] == [offer.item.completions[i].text for i in offer.assignment.shown]
    assert {name for card in cards for name in card.__slots__} == {"text", "tool_calls"}


def test_what_cannot_be_is_refused_in_words():
    """Settings, items and gold ranks that make no sense are refused before they are stored."""
    with pytest.raises(RankingError, match="overlap >= 1"):
        Project(id="p", name="p", created="", overlap=0)
    with pytest.raises(RankingError, match="0 to 1 together"):
        Project(id="p", name="p", created="", gold_share=0.6, repeat_share=0.6)
    one = item(1)
    with pytest.raises(RankingError, match="2 to 9 completions; got 1"):
        Item(prompt=one.prompt, completions=one.completions[:1])
    with pytest.raises(RankingError, match="expected 3 ranks from 1"):
        Item(prompt=one.prompt, completions=one.completions, gold={"helpful": (1, 2, 4)})


def test_an_answer_that_says_too_little_is_refused(url):
    """Submitting needs a ranked card for each question, or all bad, or a reason why nobody can judge; drafts need nothing."""
    engine = open_database(url)
    made = project(engine, n=1, questions=("helpful", "harmless"))
    offer = next_item(engine, made.id, "ann", START)
    for bad, why in (
        (Given(helpful=(1, None, None)), "harmless"),
        (Given(cannot_judge=True), "the reason"),
        (Given(helpful=(1, 2)), "expected 3 ranks"),
        (Given(helpful=(1, 2, 3), harmless=(1, 1, 1), refused=(True,)), "one flag for each of 3"),
    ):
        with pytest.raises(RankingError, match=why):
            submit(engine, offer.assignment.id, "ann", bad, START)
    with pytest.raises(RankingError, match="discard: expected the reason"):
        submit(engine, offer.assignment.id, "ann", Given(), START, status="discarded")
    assert submit(engine, offer.assignment.id, "ann", Given(all_bad=True), START).status == "submitted"
