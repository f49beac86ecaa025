"""Tests of recipes/ranked.py and ranked_export.py: what people said becomes figures and rows, by the rules that are stated."""

from dataclasses import replace

import pytest

from tests.store.ranked import GIVEN, at, item, project, prompt
from trueline.core.records import read_jsonl
from trueline.core.types import Completion, Preference, Ranking
from trueline.data.formats import Labelled
from trueline.data.recognise import read
from trueline.recipes.ranked import fingerprint, merged_of, prioritise, rankings_of, standing
from trueline.recipes.ranked_export import AnswerRecord, carry_out, hashed
from trueline.store.opening import open_database
from trueline.store.ranking import adjudicate, create, items, new_id
from trueline.store.ranking_records import Given, Item, Project, RankingError
from trueline.store.ranking_work import next_item, submit


def answered(folder, said, **settings):
    """A project of one item (cards a, b, c) to which each person gave an answer; `said` is a Given a person."""
    engine = open_database(folder / "a.db")
    made = project(engine, n=1, overlap=max(1, len(said)), **settings)
    for person, given in said.items():
        offer = next_item(engine, made.id, person, at(0))
        status = "discarded" if given.reason and not given.cannot_judge else "submitted"
        submit(engine, offer.assignment.id, person, given, at(1), status=status)
    return engine, made


def helpful(*ranks, **more):
    return Given(helpful=ranks, **more)


def names(found):
    return [(p.chosen.model, p.rejected.model, p.margin) for p in found]


def test_a_partial_ranking_is_its_implied_pairs(tmp_path):
    """The best of three alone is two pairs; of the two that were not ranked nothing is said."""
    engine, _ = answered(tmp_path, {"ann": helpful(1, None, None)})
    carry_out(engine, "first", "margin", tmp_path / "m.jsonl")
    assert names(read(Preference, tmp_path / "m.jsonl")) == [("a", "b", 1.0), ("a", "c", 1.0)]
    assert [(r.ranks, len(r.completions)) for r in rankings_of("first", engine)] == [((1, 2), 2), ((1, 2), 2)]


def test_several_are_merged_by_the_majority_of_each_pair(tmp_path):
    """Two of three outvote one, with a margin of a third; half against half is left out."""
    engine, _ = answered(tmp_path, {"ann": helpful(1, 2, 3), "bob": helpful(1, 2, 3), "cleo": helpful(2, 1, 3)})
    carry_out(engine, "first", "margin", tmp_path / "m.jsonl")
    assert names(read(Preference, tmp_path / "m.jsonl")) == [
        ("a", "b", pytest.approx(1 / 3)),
        ("a", "c", 1.0),
        ("b", "c", 1.0),
    ]
    (tmp_path / "two").mkdir()
    engine, _ = answered(tmp_path / "two", {"ann": helpful(1, 2, 3), "bob": helpful(2, 1, 3)})
    assert [(r.completions[0].model, r.completions[1].model) for r in rankings_of("first", engine)] == [("a", "c"), ("b", "c")]


def test_a_final_word_stands_in_the_place_of_all(tmp_path):
    """An adjudication decides what is exported and fingerprinted; that nobody can judge takes the item out."""
    engine, made = answered(tmp_path, {"ann": helpful(1, 2, 3), "bob": helpful(2, 1, 3)})
    before = fingerprint("project:first", engine)
    (only,) = items(engine, made.id)
    assert standing(engine, "first").asked[0].adjudicate == (only.id,)
    adjudicate(engine, made.id, only.id, "judge", helpful(3, 2, 1), at(9))
    (ranking,) = rankings_of("project:first", engine)
    assert (ranking.ranks, ranking.by) == ((3, 2, 1), "adjudicated")
    assert fingerprint("project:first", engine) != before
    assert standing(engine, "first").asked[0].adjudicate == ()
    adjudicate(engine, made.id, only.id, "judge", Given(cannot_judge=True, reason="no idea"), at(10))
    assert merged_of(engine, made, "helpful") == []


def test_ties_discards_and_who_cannot_judge_make_no_pairs(tmp_path):
    """A tie is kept in a ranking and gives no pair; a discard and "cannot judge" say nothing at all."""
    engine, _ = answered(
        tmp_path,
        {
            "ann": helpful(1, 1, 2),
            "bob": helpful(3, 2, 1, reason="broken"),
            "cleo": Given(cannot_judge=True, reason="not my field"),
        },
    )
    (ranking,) = rankings_of("first", engine)
    assert ranking.ranks == (1, 1, 3)
    carry_out(engine, "first", "dpo", tmp_path / "d.jsonl")
    assert [(c, r) for c, r, _ in names(read(Preference, tmp_path / "d.jsonl"))] == [("a", "c"), ("b", "c")]


def test_gold_and_repeats_are_never_training_data(tmp_path):
    """What measures people is in the records, and in no other form, and moves no board."""
    engine = open_database(tmp_path / "a.db")
    made = project(engine, n=12, gold=6, gold_share=0.3, repeat_share=0.3)
    kinds = []
    for i in range(60):
        if (offer := next_item(engine, made.id, "ann", at(i))).assignment is None:
            break
        kinds.append(offer.assignment.kind)
        ranks = (3, 2, 1) if offer.assignment.kind == "repeat" else (1, 2, 3)
        submit(engine, offer.assignment.id, "ann", helpful(*ranks), at(i))
    assert {"gold", "repeat"} <= set(kinds)
    exported = carry_out(engine, "first", "kwise", tmp_path / "k.jsonl")
    assert (exported.rows, exported.items) == (12, 12)
    assert {r.ranks for r in read(Ranking, tmp_path / "k.jsonl")} == {(1, 2, 3)}
    records = (
        list(read_jsonl(tmp_path / "r.jsonl", AnswerRecord))
        if carry_out(engine, "first", "records", tmp_path / "r.jsonl")
        else []
    )
    assert len(records) == len(kinds)
    figures = standing(engine, "first").asked[0]
    assert figures.agreement.gold.value == 1.0
    assert figures.agreement.itself.value == 0.0
    assert figures.board.votes == 12


def test_wanted_and_unwanted_completions(tmp_path):
    """KTO's labels are who wins more than it loses, the middle has none; where all are bad, none is wanted."""
    engine, _ = answered(tmp_path, {"ann": helpful(1, 2, 3)})
    carry_out(engine, "first", "kto", tmp_path / "k.jsonl")
    assert [(one.completion.model, one.label) for one in read(Labelled, tmp_path / "k.jsonl")] == [("a", True), ("c", False)]
    (tmp_path / "bad").mkdir()
    engine, _ = answered(tmp_path / "bad", {"ann": helpful(1, 2, 3, all_bad=True)})
    carry_out(engine, "first", "kto", tmp_path / "b.jsonl")
    assert [one.label for one in read(Labelled, tmp_path / "b.jsonl")] == [False] * 3


def test_helpful_and_harmless_stay_apart(tmp_path):
    """Each question has its own export, agreement and training data; one that is not asked is refused."""
    given = Given(helpful=(1, 2, 3), harmless=(3, 2, 1))
    engine, _ = answered(tmp_path, {"ann": given}, questions=("helpful", "harmless"))
    assert rankings_of("first", engine)[0].ranks == rankings_of("first:helpful", engine)[0].ranks == (1, 2, 3)
    assert rankings_of("project:first:harmless", engine)[0].ranks == (3, 2, 1)
    assert [one.question for one in standing(engine, "first").asked] == ["helpful", "harmless"]
    with pytest.raises(RankingError, match="does not ask 'honest'"):
        rankings_of("first:honest", engine)


def test_records_hold_where_everything_comes_from(tmp_path):
    """A record has the hash of the annotator and not the id, the order shown, the seconds, and survives the file."""
    engine, made = answered(tmp_path, {"ann": replace(GIVEN, refused=(True, False, False))}, seed=7)
    carry_out(engine, "first", "records", tmp_path / "r.jsonl.gz")
    (record,) = read_jsonl(tmp_path / "r.jsonl.gz", AnswerRecord)
    assert (record.annotator, record.seed, record.given.seconds) == (hashed(made, "ann"), 7, 4.0)
    assert sorted(record.shown) == [0, 1, 2]
    assert record.given.refused == (True, False, False)
    assert "ann" not in record.annotator


def test_nothing_to_export_is_said(tmp_path):
    """Without answers, and with ties alone, no file is written."""
    engine, _ = answered(tmp_path, {})
    for form in ("dpo", "records"):
        with pytest.raises(RankingError, match="nothing to export"):
            carry_out(engine, "first", form, tmp_path / "x.jsonl")
    assert not (tmp_path / "x.jsonl").exists()


def test_items_of_unlike_sizes_train_as_pairs(tmp_path):
    """A reward model learns from groups of one size, so a project of mixed sizes gives ordered pairs."""
    engine = open_database(tmp_path / "a.db")
    asked = prompt("two cards")
    two = Item(prompt=asked, completions=tuple(Completion(prompt=asked, text=t, model=t) for t in "ab"))
    made = create(engine, Project(id=new_id(), name="mixed", created=""), [item(0), two])
    for i in range(2):
        offer = next_item(engine, made.id, "ann", at(i))
        submit(engine, offer.assignment.id, "ann", helpful(*range(1, 1 + len(offer.item.completions))), at(i))
    assert [r.ranks for r in rankings_of("mixed", engine)] == [(1, 2)] * 4


def test_what_is_uncertain_comes_next(tmp_path):
    """After answers that settle a against b, the item with an unknown model is the next that is given out."""
    engine = open_database(tmp_path / "a.db")
    made_items = []
    for i in range(12):
        asked = prompt(f"q {i}")
        pair = ("a", "b") if i < 11 else ("a", "new")
        made_items.append(Item(prompt=asked, completions=tuple(Completion(prompt=asked, text="same", model=m) for m in pair)))
    made = create(engine, Project(id=new_id(), name="p", created="", overlap=2, choosing="uncertain"), made_items)
    ids = {found.prompt.id: found.id for found in items(engine, made.id)}
    while (offer := next_item(engine, made.id, "ann", at(0))).item.prompt.id != "q 11" and offer.assignment.number < 10:
        submit(engine, offer.assignment.id, "ann", helpful(1, 2), at(0))
    assert prioritise(engine, made) == 12
    assert next_item(engine, made.id, "bob", at(0)).assignment.item == ids["q 11"]
