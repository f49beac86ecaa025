"""Tests of the desk without a browser: what annotators see and do not see, and that nothing they say is lost."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.web.ranking.seated import MODELS, house, item, said_by_length
from tests.web.site.visiting import HOSTILE
from trueline.store.ranking import answers, change, history
from trueline.store.ranking_records import as_shown
from trueline.web.ranking.counted import URGENT

WORK, ANSWER, REOPEN = "/ranking/one/work", "/ranking/one/answer", "/ranking/one/reopen"


def twin(browser):
    return browser.get(f"{WORK}.json").json()


def given(held, **said):
    """What a script sends of an item."""
    return {"assignment": held["assignment"], "version": held["version"], "do": "submit", **said}


def test_nothing_tells_which_model_said_what(tmp_path):
    """Neither page nor twin names a model, a source, an item or a place, and over many items each model is everywhere."""
    here = house(tmp_path / "a.db", n=40, size=4, gold_share=0.2, repeat_share=0.2, guidelines="Be fair.")
    browser, first = here.browser(), []
    for _ in range(40):
        page, told = browser.get(WORK).text, twin(browser)
        if told["item"] is None:
            break
        for hidden in (*MODELS, "runs/", "shown", "gold", "repeat"):
            assert hidden not in page
            assert hidden not in json.dumps(told)
        first.append(said_by_length(told["item"]["cards"])[0])
        assert here.post(browser, ANSWER, given(told["item"], helpful=[1, 2, 3, 4])).status_code == 200
    assert {first.count(place) > 2 for place in range(4)} == {True}  # 10 of each expected
    assert set(told["project"]) == {
        "id", "name", "state", "created", "questions", "guidelines", "overlap", "cap",
    }  # fmt: skip


def test_no_id_on_the_page_can_be_searched_for_the_items_order(tmp_path):
    """Two people who say the same of the same cards as they see them, have drafts whose versions depend on nothing else."""
    here = house(tmp_path / "a.db", n=1, overlap=2)
    browser = here.browser()
    held = twin(browser)["item"]
    ids = {row.assignment.item for row in answers(here.database, "one")} | {e.item for e in history(here.database, "one")}
    assert not any(hidden in json.dumps(held) for hidden in ids)
    saved = here.post(browser, ANSWER, {**given(held, helpful=[2, 1, None]), "do": "draft"}).json()
    again = here.post(browser, ANSWER, {**given(held, helpful=[2, 1, None]), "do": "draft", "version": saved["version"]}).json()
    assert saved["version"] == again["version"] != held["version"]


def test_an_answer_is_stored_in_the_items_order_with_both_questions_apart(tmp_path):
    """What was said of the cards as shown comes back to the completions that it was said of, flags and time with it."""
    here = house(tmp_path / "a.db", questions=("helpful", "harmless"))
    browser = here.browser()
    held = twin(browser)["item"]
    said = {
        "helpful": [1, 1, 2],
        "harmless": [None, 1, None],
        "refused": [True, False, False],
        "refused_but_gave": [False, False, True],
    }
    went = here.post(browser, ANSWER, given(held, **said, seconds=12.34))
    assert went.json() == {"to": WORK, "said": "submitted"}
    (stored,) = answers(here.database, "one")
    assert (stored.status, stored.given.seconds, stored.assignment.person) == ("submitted", 12.3, "local")
    for name, values in said.items():
        assert list(as_shown(getattr(stored.given, name), stored.assignment)) == values
    assert said_by_length(held["cards"]) == list(stored.assignment.shown)
    assert twin(browser)["item"]["assignment"] != held["assignment"]
    assert twin(browser)["mine"] == {"left": 3, "submitted": 1, "today": 1}


def test_a_draft_comes_back_as_it_was_and_says_what_it_implies(tmp_path):
    """The page and its twin show the draft, in the order of the cards shown, with the pairs that it implies in words."""
    here = house(tmp_path / "a.db", size=4)
    browser = here.browser()
    held = twin(browser)["item"]
    here.post(browser, ANSWER, {**given(held, helpful=[2, None, 1, None], all_bad=True), "do": "draft"})
    again = twin(browser)["item"]
    assert (again["draft"]["helpful"], again["draft"]["all_bad"]) == ([2, None, 1, None], True)
    assert again["draft"]["implied"]["helpful"] == "2 of 4 ranked: 5 pairs implied"
    page = browser.get(WORK).text
    assert 'name="helpful.0" value="2" checked' in page
    assert "2 of 4 ranked: 5 pairs implied" in page


def test_two_tabs_never_overwrite_each_other_silently(tmp_path):
    """The tab that knows an older draft is refused with what stands, draft and submission alike, and may then go on over it."""
    here = house(tmp_path / "a.db")
    browser = here.browser()
    held = twin(browser)["item"]
    first = here.post(browser, ANSWER, {**given(held, helpful=[1, 2, 3]), "do": "draft"}).json()
    for do in ("draft", "submit", "skip"):
        late = here.post(browser, ANSWER, {**given(held, helpful=[3, 2, 1]), "do": do})
        assert (late.status_code, late.json()["kind"], late.json()["version"]) == (409, "stale", first["version"])
        assert late.json()["draft"]["helpful"] == [1, 2, 3]
    assert twin(browser)["item"]["draft"]["helpful"] == [1, 2, 3]
    over = {**given(held, helpful=[3, 2, 1]), "version": first["version"]}
    assert here.post(browser, ANSWER, over).status_code == 200
    assert here.post(browser, ANSWER, over).status_code == 200  # the same again, as after a lost reply
    other = here.post(browser, ANSWER, {**over, "helpful": [1, 2, 3]})
    assert (other.status_code, other.json()["kind"]) == (409, "lost")
    assert len(answers(here.database, "one")) == 1


def test_a_lost_lease_is_told_and_the_next_item_is_offered(tmp_path):
    """Who comes too late is refused in words, keeps their draft, and is given something else; a form is led there."""
    here = house(tmp_path / "a.db", n=2, lease=60, accounts={"ann": ["annotator"], "bob": ["annotator"]})
    ann, bob = here.browser("ann"), here.browser("bob")
    held = twin(ann)["item"]
    here.clock.move(61)
    assert twin(bob)["item"]["cards"]
    late = here.post(ann, ANSWER, given(held, helpful=[1, 2, 3]))
    assert (late.status_code, late.json()["kind"], late.json()["to"]) == (409, "lost", WORK)
    assert "another annotator has taken it over" in late.json()["error"]
    went = ann.form(ANSWER, {"csrf": ann.token(WORK), "assignment": held["assignment"], "helpful.0": "1"})
    assert went.headers["location"].startswith(f"{WORK}?said=the%20time")
    assert twin(ann)["item"]["assignment"] != held["assignment"]
    theirs = here.post(ann, ANSWER, given(twin(bob)["item"], helpful=[1, 2, 3]))
    assert "not given to you" in theirs.json()["error"]


def test_without_a_script_the_form_does_all(tmp_path):
    """Ranks, drafts, skip, discard, cannot judge and undo by plain forms; what cannot be taken is kept, and told."""
    here = house(tmp_path / "a.db", n=6)
    browser = here.browser()

    def form(path=ANSWER, **fields):
        here.clock.move(1)
        page = browser.get(WORK).text
        hidden = {name: page.split(f'name="{name}" value="')[1].split('"')[0] for name in ("assignment", "version", "csrf")}
        return browser.form(path, {**hidden, **{name.replace("__", "."): value for name, value in fields.items()}})

    assert form(helpful__0="", do="submit", refused__1="on").headers["location"].startswith(f"{WORK}?said=expected%20one")
    assert twin(browser)["item"]["draft"]["refused"] == [False, True, False]
    assert form(helpful__0="2", helpful__1="1", helpful__2="", do="draft").headers["location"] == f"{WORK}?said=draft%20saved"
    assert twin(browser)["item"]["draft"]["helpful"] == [2, 1, None]
    for fields in (
        {"helpful__0": "2", "do": "submit"},
        {"do": "skip"},
        {"do": "discard", "reason": "no question"},
        {"do": "cannot", "reason": "Latin"},
        {"do": "submit", "all_bad": "on"},
    ):
        assert form(**fields).status_code == 303
    assert form(do="discard", reason=" ").headers["location"].startswith(f"{WORK}?said=discard")
    found = answers(here.database, "one")
    assert [one.status for one in found] == ["submitted", "skipped", "discarded", "submitted", "submitted", "draft"]
    assert (found[3].given.cannot_judge, found[3].given.reason, found[4].given.all_bad) == (True, "Latin", True)
    assert form(REOPEN).headers["location"].endswith("open%20again")
    assert [one.status for one in answers(here.database, "one")][4] == "draft"


WRONG = (
    ({"helpful": [1, 2]}, "a list of 3"),
    ({"helpful": [1, 2, 10]}, "ranks from 1"),
    ({"helpful": [1, 2, 9]}, "3 ranks from 1"),
    ({"helpful": [1, True, None]}, "ranks from 1"),
    ({"harmless": [1, 2, 3], "helpful": [1, 2, 3]}, "does not ask 'harmless'"),
    ({"helpful": [None] * 3}, "one or more ranked cards"),
    ({"helpful": [1, 2, 3], "seconds": -1}, "seconds"),
    ({"helpful": [1, 2, 3], "seconds": "nan"}, "seconds"),
    ({"do": "delete"}, "do: expected"),
    ({"do": "discard", "helpful": [1, 2, 3]}, "the reason why"),
    ({"reason": 7, "helpful": [1, 2, 3]}, "reason: expected text"),
)


def test_what_cannot_be_said_is_refused_in_words(tmp_path):
    """A wrong field is a 400 that says what was expected; nothing is stored."""
    here = house(tmp_path / "a.db")
    browser = here.browser()
    held = twin(browser)["item"]
    for said, why in WRONG:
        told = here.post(browser, ANSWER, given(held, **said))
        assert (told.status_code, why in told.json()["error"]) == (400, True), told.text
    assert not answers(here.database, "one")


def test_why_there_is_nothing_is_said_kindly(tmp_path):
    """The cap, a closed project, work that others hold and work that is done each have their words."""
    here = house(tmp_path / "a.db", n=2, cap=1, accounts={"ann": ["annotator"], "bob": ["annotator"]})
    ann, bob = here.browser("ann"), here.browser("bob")
    here.post(ann, ANSWER, given(twin(ann)["item"], helpful=[1, 2, 3]))
    assert "enough for today" in twin(ann)["why"]
    assert "Change my last answer" in ann.get(WORK).text
    twin(bob)
    change(here.database, "one", cap=0)
    assert "with others just now" in twin(ann)["why"]
    here.post(bob, ANSWER, given(twin(bob)["item"], helpful=[1, 2, 3]))
    assert "Thank you" in twin(ann)["why"]
    change(here.database, "one", state="closed")
    assert "closed" in twin(ann)["why"]
    assert ann.get("/ranking").status_code == 200


def test_who_may_see_what(tmp_path):
    """Annotators see the list and the desk, red-teamers neither; who is not in sees nothing."""
    here = house(tmp_path / "a.db", accounts={"ann": ["annotator"], "rex": ["red-teamer"], "ope": ["operator"]})
    for name, status in (("ann", 200), ("rex", 403), ("ope", 200)):
        browser = here.browser(name)
        assert [browser.get(path).status_code for path in ("/ranking", WORK, f"{WORK}.json")] == [status] * 3
    assert here.browser().get(WORK).status_code == 303
    assert here.browser("ann").get("/ranking/nothing/work").status_code == 404


def test_records_hold_ids_and_never_names(tmp_path):
    """An answer is stored under the person's id."""
    here = house(tmp_path / "a.db", accounts={"ann": ["annotator"]})
    ann = here.browser("ann")
    here.post(ann, ANSWER, given(twin(ann)["item"], helpful=[1, 2, 3]))
    assert {one.assignment.person[0] for one in answers(here.database, "one")} == {"p"}
    assert "ann" not in {event.person for event in history(here.database, "one")}


def test_hostile_text_is_shown_as_text(tmp_path):
    """Markup in every field that is shown comes out escaped, with its control characters spelled out."""
    bad = [replace(item(1, words=HOSTILE), veiled=True)]
    here = house(tmp_path / "a.db", items=bad, guidelines=HOSTILE, name=HOSTILE.replace("\u202e", ""))
    browser = here.browser()
    for path in ("/ranking", WORK):
        text = browser.get(path).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "\u202e" not in text
        assert "&lt;script&gt;" in text
    assert browser.get(WORK).text.count('class="veiled"') == 4  # the prompt and three cards


def test_a_project_that_chooses_the_uncertain_learns_from_each_answer(tmp_path):
    """After answers, priorities are worked out beside the pages, and the next items follow them."""
    here = house(tmp_path / "a.db", n=12, size=2, choosing="uncertain", overlap=2)
    browser = here.browser()
    for _ in range(6):
        here.post(browser, ANSWER, given(twin(browser)["item"], helpful=[1, 2]))
    while URGENT.at(here.database, "one").behind:
        pass
    assert URGENT.at(here.database, "one").value > 0
