"""Tests of the operators' pages in a real browser, and of the desk where scripts are off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.accessible import assert_accessible
from tests.browser import DARK, PHONE
from tests.store.ranked import START
from tests.walking import Hands, assert_fits
from tests.web.ranking.seated import house, item
from tests.web.site.visiting import HOSTILE
from trueline.store.ranking import adjudications, answers, items
from trueline.store.ranking_records import Given
from trueline.store.ranking_work import next_item, submit

ONE = "/ranking/one"


@pytest.fixture
def here(tmp_path):
    """Give a site whose project of hostile items two people have answered, in dispute over everything."""
    bad = [replace(item(number, words=HOSTILE), veiled=True, source=HOSTILE) for number in range(3)]
    bad = [replace(one, completions=tuple(replace(c, model=c.model + HOSTILE) for c in one.completions)) for one in bad]
    made = house(tmp_path / "a.db", items=[*bad, item(9)], overlap=3, questions=("helpful", "harmless"), guidelines=HOSTILE)
    for person, ranks in (("p1", (1, 2, 3)), ("p2", (3, 2, 1))):
        answer_all(made, person, ranks)
    return made


def answer_all(here, person, ranks):
    while (offer := next_item(here.database, "one", person, START)).assignment:
        given = Given(helpful=ranks, harmless=ranks, reason=HOSTILE, seconds=5.0)
        submit(here.database, offer.assignment.id, person, given, START)


@pytest.mark.parametrize("how", [{}, {**PHONE, **DARK}])
def test_what_operators_see_is_accessible_and_hostile_text_never_runs(here, serve, new_page, how):
    """The overview and an item, with the models told: no serious fault, nothing runs, nothing sticks out on a phone."""
    page = new_page(**how)
    page.goto(serve(here.app) + ONE)
    page.get_by_role("heading", name="People", exact=True).wait_for(timeout=15_000)
    assert_accessible(page)
    assert_fits(page)
    page.goto(f"{page.url}/items/{items(here.database, 'one')[0].id}?models=1")
    assert "aurora" in page.get_by_role("table").inner_text()
    assert_accessible(page)
    assert_fits(page)


def test_the_overview_renews_itself(here, serve, new_page):
    """A new answer is in the figures of an open page soon, without anybody touching it."""
    page = new_page()
    page.clock.install()
    page.goto(serve(here.app) + ONE)
    for _ in range(20):
        if page.get_by_text("8 of 12 answers").count():
            break
        page.clock.run_for(3_100)
    page.get_by_text("8 of 12 answers").wait_for()
    answer_all(here, "p3", (1, 2, 3))
    for _ in range(20):
        if page.get_by_text("12 of 12 answers").count():
            break
        page.clock.run_for(10_100)
    page.get_by_text("12 of 12 answers").wait_for()
    assert page.get_by_text("8 of 12 answers").count() == 0


def test_a_final_word_by_the_keyboard(here, serve, new_page):
    """From the queue to the item, ranks by Tab, arrows and space, and the next item in dispute."""
    page = new_page()
    hands = Hands(page)
    page.goto(serve(here.app) + ONE)
    page.get_by_role("heading", name="People", exact=True).wait_for()
    hands.tab_to(page.locator(".prompts a").first)
    hands.press("Enter")
    page.get_by_role("heading", name="The final word").wait_for()
    for question in ("helpful", "harmless"):
        hands.tab_to(page.locator(f"[name='{question}.0']:checked"))
        hands.press("ArrowRight")
    hands.tab_to(page.get_by_role("button", name="Store the final word"))
    hands.press("Enter")
    page.get_by_text("the final word is stored; here is the next item").wait_for()
    (final,) = adjudications(here.database, "one").values()
    assert sorted(final.given.helpful, key=str) == [1, None, None]


def test_without_scripts_people_rank_all_the_same(here, serve, new_page):
    """With JavaScript off, text can be shown, ranks given, and answers submitted, by Tab and keys of forms."""
    page = new_page(java_script_enabled=False)
    page.goto(serve(here.app) + f"{ONE}/work")
    assert page.get_by_role("button", name="Undo").count() == 0
    for question in ("helpful", "harmless"):
        for card in range(3):
            page.locator(f"[data-card='{card}'] [data-question={question}] [value='{card + 1}']").check()
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("status").get_by_text("submitted").wait_for()
    (done,) = answers(here.database, "one", person="local", status="submitted")
    assert sorted(done.given.harmless) == [1, 2, 3]
