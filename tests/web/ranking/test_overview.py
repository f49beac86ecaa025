"""Tests of what operators see: progress, agreement, one item with its final word, exports; and that nobody else sees it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import pytest

from tests.web.ranking.seated import MODELS, house, item, said_by_length
from tests.web.site.visiting import HOSTILE
from trueline.core.records import read_jsonl
from trueline.evaluate.agreement import agreement
from trueline.recipes.ranked import votes_of
from trueline.recipes.ranked_export import AnswerRecord, carry_out
from trueline.store.ranking import adjudications, answers, items
from trueline.web.ranking.counted import Counting

PEOPLE = {"ann": ["annotator"], "bob": ["annotator"], "ope": ["operator"]}
ONE = "/ranking/one"


def worked(tmp_path, **settings):
    """A project that ann and bob have answered: they agree that the longest reply is the best, but for one item."""
    here = house(tmp_path / "a.db", accounts=PEOPLE, overlap=2, **settings)
    for name in ("ann", "bob"):
        browser = here.browser(name)
        for number in range(100):
            here.clock.move(1)
            held = browser.get(f"{ONE}/work.json").json()["item"]
            if held is None:
                break
            places = said_by_length(held["cards"])
            turned = name == "bob" and "reply 0" in held["cards"][0]["text"]
            ranks = [1 + (place if turned else len(places) - 1 - place) for place in places]
            sent = {"assignment": held["assignment"], "helpful": ranks, "seconds": number + 1}
            assert here.post(browser, f"{ONE}/answer", sent).status_code == 200
    return here


def settled(browser):
    """The overview, once it holds all that has happened."""
    while (told := browser.get(f"{ONE}.json").json())["behind"]:
        time.sleep(0)
    return told


def test_figures_are_those_of_the_answers(tmp_path):
    """Progress, people with their names, and agreement are what evaluate/agreement.py says of the stored answers."""
    here = worked(tmp_path, n=5)
    told = settled(here.browser("ope"))
    known = agreement(votes_of(answers(here.database, "one", status="submitted"), "helpful"))
    (asked,) = told["asked"]
    assert asked["pairwise"]["value"] == pytest.approx(known.pairwise.value) == 0.8
    assert asked["alpha"]["value"] == pytest.approx(known.alpha.value)
    assert (told["progress"]["submitted"], told["progress"]["complete"]) == (10, 5)
    assert {(one["name"], one["submitted"], one["seconds"]) for one in told["people"]} == {("ann", 5, 15.0), ("bob", 5, 15.0)}
    assert all(one["id"].startswith("p") for one in told["people"])
    assert [row["votes"] for row in asked["queue"]] == [2]
    assert [row["model"] for row in asked["board"]["models"]] == ["corona", "borealis", "aurora"]
    page = here.browser("ope").get(ONE).text
    assert f'href="{ONE}/items/{asked["queue"][0]["item"]}"' in page
    assert "80%" in page


def test_new_answers_are_in_the_figures(tmp_path):
    """An answer more changes the figures of the next look, without a restart; nothing new changes nothing."""
    here = house(tmp_path / "a.db", n=3)
    browser = here.browser()
    for count in (0, 1, 2):
        first = settled(browser)
        assert first == browser.get(f"{ONE}.json").json()
        assert first["progress"]["submitted"] == count
        held = browser.get(f"{ONE}/work.json").json()["item"]
        here.post(browser, f"{ONE}/answer", {"assignment": held["assignment"], "helpful": [1, 2, 3]})


def test_a_slow_count_holds_no_page_up(tmp_path):
    """While new figures are counted, the old ones are given at once, and said to be old; then the new ones are there."""
    here = house(tmp_path / "a.db", n=3)
    going, counts = threading.Event(), []

    def slowly(database, project):
        if counts:
            assert going.wait(10)
        counts.append(len(answers(database, project)))
        return counts[-1]

    counting = Counting(slowly, patience=0.0)
    while (first := counting.at(here.database, "one")).behind:
        assert first.value is None
    assert first.value == 0
    browser = here.browser()
    held = browser.get(f"{ONE}/work.json").json()["item"]
    here.post(browser, f"{ONE}/answer", {"assignment": held["assignment"], "helpful": [1, 2, 3]})
    old = [counting.at(here.database, "one") for _ in range(5)]
    assert {(one.value, one.behind) for one in old} == {(0, True)}
    going.set()
    while (now := counting.at(here.database, "one")).behind:
        time.sleep(0)
    assert (now.value, counts) == (1, [0, 1])


def test_one_item_shows_all_answers_in_one_order_and_no_model(tmp_path):
    """Answers stand side by side in the order of the cards here, with what is in dispute; models only when asked for."""
    here = worked(tmp_path, n=5)
    browser = here.browser("ope")
    key = settled(browser)["asked"][0]["queue"][0]["item"]
    told = browser.get(f"{ONE}/items/{key}.json").json()
    assert told["models"] is None
    assert not any(model in browser.get(f"{ONE}/items/{key}").text for model in MODELS)
    places = said_by_length(told["cards"])
    by_name = {one["name"]: one for one in told["answers"]}
    assert by_name["ann"]["helpful"] == [3 - place for place in places]
    assert by_name["bob"]["helpful"] == [1 + place for place in places]
    assert told["disputed"]["helpful"] == ["A and B", "A and C", "B and C"]
    stored = {one.assignment.person: one for one in answers(here.database, "one", item=key)}
    for one in told["answers"]:
        shown = stored[one["person"]].assignment.shown
        assert [shown[lay - 1] for lay in one["lay"]] == places
    asked_for = browser.get(f"{ONE}/items/{key}.json?models=1").json()
    assert asked_for["models"] == [MODELS[place] for place in places]
    assert browser.get(f"{ONE}/items/nothing").status_code == 404


def test_a_final_word_settles_the_item_and_leads_to_the_next(tmp_path):
    """It is stored in the item's order under the operator's id, the queue is shorter by one, and models show from then on."""
    here = worked(tmp_path, n=5)
    browser = here.browser("ope")
    key = settled(browser)["asked"][0]["queue"][0]["item"]
    path = f"{ONE}/items/{key}"
    places = said_by_length(browser.get(f"{path}.json").json()["cards"])
    token = browser.token(path)
    refused = browser.form(f"{path}/settle", {"csrf": token, "cannot_judge": "on"})
    assert refused.headers["location"].startswith(f"{path}?helpful=0.0.0&said=cannot%20judge")
    kept = browser.get(f"{path}.json?helpful=2.0.1").json()["draft"]["helpful"]
    assert kept == [2, None, 1]
    fields = {f"helpful.{card}": str(1 + place) for card, place in enumerate(places)}
    went = browser.form(f"{path}/settle", {"csrf": token, **fields})
    assert went.headers["location"].startswith(f"{ONE}?said=the%20final%20word")
    final = adjudications(here.database, "one")[key]
    assert final.given.helpful == (1, 2, 3)
    assert final.person.startswith("p")
    told = browser.get(f"{path}.json").json()
    assert told["final"]["helpful"] == [1 + place for place in places]
    assert told["models"] == [MODELS[place] for place in places]
    after = settled(browser)
    assert (after["asked"][0]["in_queue"], after["progress"]["adjudicated"]) == (0, 1)


def test_what_is_taken_away_is_what_the_command_writes(tmp_path):
    """Each form is byte for byte the file of `trueline ranking export`, under a name that no shell trips over."""
    here = worked(tmp_path, n=5, name="first; rm -rf / <b>")
    browser = here.browser("ope")
    for kind in ("dpo", "kto", "kwise", "margin", "records"):
        sent = browser.get(f"{ONE}/export/{kind}")
        carry_out(here.database, "one", kind, tmp_path / f"{kind}.jsonl")
        assert sent.content == (tmp_path / f"{kind}.jsonl").read_bytes()
        rest = "" if kind == "records" else "helpful-"
        assert sent.headers["content-disposition"] == f'attachment; filename="first-rm--rf-b--{rest}{kind}.jsonl"'
    assert len(list(read_jsonl(tmp_path / "records.jsonl", AnswerRecord))) == 10
    assert '"ann"' not in browser.get(f"{ONE}/export/records").text
    for bad in ("csv", "dpo?question=harmless"):
        assert browser.get(f"{ONE}/export/{bad}").status_code == 400


def test_only_operators_see_what_others_said(tmp_path):
    """An annotator gets neither figures nor items nor exports, and cannot settle anything."""
    here = worked(tmp_path, n=3)
    key = items(here.database, "one")[0].id
    ann = here.browser("ann")
    for path in (ONE, f"{ONE}.json", f"{ONE}/items/{key}", f"{ONE}/items/{key}.json", f"{ONE}/export/dpo"):
        assert ann.get(path).status_code == 403
    assert here.post(ann, f"{ONE}/items/{key}/settle", {"helpful": [1, 2, 3]}).status_code == 403
    assert "Agreement and answers" not in ann.get("/ranking").text
    assert "Agreement and answers" in here.browser("ope").get("/ranking").text
    assert here.browser().get(f"{ONE}/export/dpo").status_code == 303


def test_hostile_text_is_shown_as_text_to_operators_too(tmp_path):
    """Markup in prompts, cards, models, sources, reasons and ids comes out escaped."""
    bad = item(1, words=HOSTILE)
    bad = replace(bad, completions=tuple(replace(one, model=f"{one.model}{HOSTILE}") for one in bad.completions))
    here = house(tmp_path / "a.db", items=[replace(bad, source=HOSTILE), item(2)], guidelines=HOSTILE)
    browser = here.browser()
    for _ in range(2):
        held = browser.get(f"{ONE}/work.json").json()["item"]
        sent = {"assignment": held["assignment"], "helpful": [1, 2, 3], "reason": HOSTILE}
        assert here.post(browser, f"{ONE}/answer", sent).status_code == 200
    for path in (ONE, *(f"{ONE}/items/{one.id}?models=1&helpful={HOSTILE}" for one in items(here.database, "one"))):
        text = browser.get(path).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "\u202e" not in text
    assert json.dumps(browser.get(f"{ONE}.json").json())
