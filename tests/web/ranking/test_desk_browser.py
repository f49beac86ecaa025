"""Tests of the desk in a real browser: with the keyboard alone, on a phone, in two tabs, without a connection."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.accessible import assert_accessible
from tests.browser import DARK, PHONE
from tests.walking import Hands, assert_fits, focus
from tests.web.ranking.seated import house, item
from tests.web.site.visiting import HOSTILE
from trueline.store.ranking import answers, history
from trueline.store.ranking_records import as_shown

WORK = "/ranking/one/work"


@pytest.fixture
def here(tmp_path):
    """Give a site whose project asks both questions of four cards."""
    return house(tmp_path / "a.db", n=6, size=4, questions=("helpful", "harmless"), guidelines="Be fair.")


def heard(page, words):
    """Wait until the live region says so."""
    page.locator("[data-live]").filter(has_text=re.compile(re.escape(words))).wait_for()


def ready(page):
    """Wait until the page's script is there."""
    page.locator("html[data-ready]").wait_for(state="attached")


def last(here, status):
    return [one for one in answers(here.database, "one") if one.status == status][-1]


def test_a_session_with_the_keyboard_alone(here, page, serve):
    """From the list to help, ranks, ties, flags, undo, draft, submit, reopen, skip, discard: focus and words at every step."""
    hands = Hands(page)
    page.goto(serve(here.app) + "/ranking")
    hands.tab_to(page.get_by_role("link", name="Rank in first"))
    hands.press("Enter")
    ready(page)
    heard(page, "4 cards by helpful and harmless. Card A has the focus")
    assert focus(page).startswith("article Card A")

    hands.press("?")
    assert page.locator("dialog").is_visible()
    assert focus(page) == "button Close"
    hands.press("2", "Escape")
    assert not page.locator("dialog").is_visible()
    assert "Card A" in focus(page)
    assert "0 of 4 ranked" in page.locator("[data-implied=helpful]").inner_text()

    for key, words in (
        ("2", "Card A: helpful 2. 1 of 4 ranked: 3 pairs implied"),
        ("j", "Card B: helpful no rank, harmless no rank"),
        ("1", "Card B: helpful 1. 2 of 4 ranked: 5 pairs implied"),
        ("ArrowRight", "Card C: helpful no rank"),
        ("=", "Card C: helpful 1, a tie with card B"),
        ("9", "Ranks go from 1 to 4 here"),
        ("Backspace", "Card C: helpful no rank. 2 of 4 ranked"),
        ("u", "Undone. Card C: helpful 1"),
        ("ArrowDown", "Card D"),
        ("ArrowDown", "Card D is the last"),
        ("h", "Number keys rank by: harmless"),
        ("1", "Card D: harmless 1. 1 of 4 ranked: 3 pairs implied"),
        ("r", "Card D: refused"),
        ("e", "Card D: refused, but gave it anyway"),
        ("b", "All are bad"),
        ("b", "Not all are bad"),
        ("v", "Nothing is blurred here"),
        ("k", "Card C: helpful 1, harmless no rank"),
        ("Control+s", "Draft saved"),
    ):
        hands.press(key)
        heard(page, words)
        assert focus(page).startswith(f"article {page.locator('.answer.now h3').inner_text()}")
    page.reload()
    ready(page)
    assert page.locator(".rank.asked [value='2']:checked").count() == 1
    hands.press("Enter")
    page.wait_for_url(f"**{WORK}")
    heard(page, "Submitted. 4 cards")
    done = last(here, "submitted")
    assert list(as_shown(done.given.helpful, done.assignment)) == [2, 1, 1, None]
    assert list(as_shown(done.given.harmless, done.assignment)) == [None, None, None, 1]
    assert list(as_shown(done.given.refused_but_gave, done.assignment)) == [False, False, False, True]
    assert not any(done.given.refused)

    hands.press("u")
    heard(page, "Your last answer is open again")
    assert "2 of 4" not in page.locator("[data-implied=helpful]").inner_text()
    assert "3 of 4 ranked" in page.locator("[data-implied=helpful]").inner_text()
    hands.press("0", "Enter")
    heard(page, "Submitted")
    assert list(as_shown((again := last(here, "submitted")).given.helpful, again.assignment)) == [None, 1, 1, None]

    hands.press("s")
    heard(page, "Skipped")
    hands.press("Enter")
    heard(page, "Not submitted: rank one card or more by helpful")
    hands.press("d")
    assert focus(page).startswith("input")
    hands.press("Escape")
    assert "Card A" in focus(page)
    hands.press("d")
    hands.write("no question at all; 1 s d")
    hands.press("Enter")
    heard(page, "Discarded")
    assert last(here, "discarded").given.reason == "no question at all; 1 s d"
    hands.press("x")
    hands.write("Latin")
    hands.press("Enter")
    heard(page, "Submitted")
    assert last(here, "submitted").given.cannot_judge
    assert [one.kind for one in history(here.database, "one") if one.kind != "leased"] == [
        "submitted", "reopened", "submitted", "skipped", "discarded", "submitted",
    ]  # fmt: skip


def test_single_keys_can_be_turned_off(here, page, serve):
    """Who speaks to their machine turns single keys off: then only ?, Enter, arrows and Ctrl+S mean anything (WCAG 2.1.4)."""
    page.goto(serve(here.app) + WORK)
    ready(page)
    page.keyboard.press("?")
    page.get_by_label("Single keys work on this page").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    assert "0 of 4" in page.locator("[data-implied=helpful]").inner_text()
    page.reload()
    ready(page)
    page.keyboard.press("1")
    assert "0 of 4" in page.locator("[data-implied=helpful]").inner_text()


def test_hands_and_a_phone_do_the_same(here, new_page, serve):
    """A finger ranks, flags, undoes and submits; nothing is wider than the phone, and targets are 44 pixels."""
    page = new_page(**PHONE)
    page.goto(serve(here.app) + "/ranking")
    assert_fits(page)
    page.goto(page.url + "/one/work")
    ready(page)
    assert_fits(page)
    assert page.evaluate(
        "[...document.querySelectorAll('.rank label')].every(at => at.offsetWidth >= 44 && at.offsetHeight >= 44)"
    )
    first = page.locator("[data-card='0']")
    for question in ("helpful", "harmless"):
        first.locator(f"[data-question={question}] label", has_text="1").tap()
    first.get_by_text("refused", exact=True).tap()
    page.get_by_role("button", name="Undo").tap()
    heard(page, "Undone")
    page.get_by_role("button", name="Submit").tap()
    heard(page, "Submitted")
    done = last(here, "submitted")
    assert list(as_shown(done.given.harmless, done.assignment)) == [1, None, None, None]
    assert not any(done.given.refused)


def test_what_is_hostile_is_veiled_and_never_runs(tmp_path, page, serve):
    """Markup in every field is text; harmful text is blurred until a key or a button shows it."""
    bad = [replace(item(number, size=9 - 5 * number, words=HOSTILE), veiled=True) for number in range(2)]
    here = house(tmp_path / "a.db", items=bad, guidelines=HOSTILE, name=HOSTILE.replace("\u202e", ""))
    page.goto(serve(here.app) + "/ranking")
    page.goto(page.url + "/one/work")
    ready(page)
    assert "<script>alert(1)</script>" in page.locator("article").first.inner_text()
    blurred = (
        "() => [...document.querySelectorAll('.veiled > .text')].filter(at => getComputedStyle(at).filter !== 'none').length"
    )
    everything = page.locator(".veiled").count()
    assert page.evaluate(blurred) == everything > 3
    page.keyboard.press("v")
    assert page.evaluate(blurred) == 0
    page.keyboard.press("v")
    hands = Hands(page)
    hands.tab_to(page.locator("[data-card='0'] [data-veil]"))
    hands.press("Enter")
    assert page.evaluate(blurred) == everything - 1
    assert_accessible(page)


@pytest.mark.parametrize("how", [{}, DARK])
def test_the_pages_have_no_serious_fault(here, new_page, serve, how):
    """The list, the desk with its dialog open and shut, and the desk without an item, light and dark."""
    page = new_page(**how)
    page.goto(serve(here.app) + "/ranking")
    assert_accessible(page)
    page.goto(page.url + "/one/work")
    ready(page)
    page.keyboard.press("1")
    assert_accessible(page)
    page.keyboard.press("?")
    assert_accessible(page)


def test_two_tabs_and_a_choice(here, new_page, serve, faults):
    """The tab that comes second is told, keeps what it has, and decides; nothing is overwritten before."""
    base = serve(here.app)
    first, second = new_page(), new_page()
    for page in (first, second):
        page.goto(base + WORK)
        ready(page)
    first.keyboard.press("1")
    first.keyboard.press("Control+s")
    heard(first, "Draft saved")
    second.keyboard.press("2")
    second.get_by_role("button", name="Keep what is here").wait_for()
    assert focus(second) == "button Take what is stored"
    stands = last(here, "draft")
    assert as_shown(stands.given.helpful, stands.assignment)[0] == 1
    second.get_by_role("button", name="Keep what is here").click()
    heard(second, "your draft is saved")
    stands = last(here, "draft")
    assert as_shown(stands.given.helpful, stands.assignment)[0] == 2
    first.keyboard.press("3")
    first.get_by_role("button", name="Take what is stored").click()
    ready(first)
    first.locator("[data-card='0'] [value='2']:checked").first.wait_for(state="attached")
    faults.take("409")


def test_a_lost_connection_loses_nothing(here, new_page, serve, faults):
    """What is done without a connection stays in the tab, over a reload too, and is sent when there is one again."""
    page = new_page()
    page.goto(serve(here.app) + WORK)
    ready(page)
    page.route("**/answer", lambda route: route.abort())
    page.keyboard.press("3")
    heard(page, "No connection")
    page.keyboard.press("Enter")
    heard(page, "Not submitted")
    page.reload()
    ready(page)
    heard(page, "No connection")
    assert page.locator("[data-card='0'] [value='3']:checked").count() == 1
    page.unroute("**/answer")
    page.keyboard.press("Control+s")
    heard(page, "Draft saved")
    stands = last(here, "draft")
    assert as_shown(stands.given.helpful, stands.assignment)[0] == 3
    told = faults.take("ERR_FAILED|409")  # 409: a draft that was sent while the page was left got through after all
    assert any("ERR_FAILED" in one for one in told)


def test_an_item_that_was_taken_over_is_told(here, new_page, serve, faults):
    """When another annotator has the item by now, the page says so and offers the next."""
    page = new_page()
    page.goto(serve(here.app) + WORK)
    ready(page)
    here.clock.move(901)
    from trueline.store.ranking_work import next_item

    assert next_item(here.database, "one", "p2", here.clock()).assignment
    page.keyboard.press("1")
    page.get_by_role("button", name="Next item").wait_for()
    assert "another annotator has taken it over" in page.locator("[data-notice]").inner_text()
    assert focus(page) == "button Next item"
    page.keyboard.press("Enter")
    ready(page)
    page.locator("[data-notice]").wait_for(state="hidden")
    faults.take("409")


def test_active_time_stops_when_nobody_is_there(here, new_page, serve):
    """Ten minutes of which one was touched count as one, and a minute more until it is quiet."""
    page = new_page()
    page.clock.install()
    page.goto(serve(here.app) + WORK)
    ready(page)
    page.keyboard.press("j")
    page.clock.run_for(30_000)
    page.keyboard.press("1")
    page.clock.run_for(600_000)
    page.keyboard.press("Control+s")
    heard(page, "Draft saved")
    assert 89 <= last(here, "draft").given.seconds <= 92
