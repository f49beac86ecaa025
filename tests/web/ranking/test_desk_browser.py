"""Tests of the desk in a real browser: with the keyboard alone, by finger, veiled, light and dark."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tests.accessible import assert_accessible
from tests.browser import DARK, PHONE
from tests.walking import Hands, assert_fits, focus
from tests.web.ranking.at_desk import WORK, heard, last, ready
from tests.web.ranking.seated import house, item
from tests.web.site.visiting import HOSTILE
from trueline.store.ranking import history
from trueline.store.ranking_records import as_shown
from trueline.web.ranking.told import in_words


@pytest.fixture
def here(tmp_path):
    """Give a site whose project asks both questions of four cards."""
    return house(tmp_path / "a.db", n=6, size=4, questions=("helpful", "harmless"), guidelines="Be fair.")


def test_a_session_with_the_keyboard_alone(here, serve, page):
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


def test_single_keys_can_be_turned_off(here, serve, page):
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


def test_hands_and_a_phone_do_the_same(here, serve, new_page):
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


def test_what_is_hostile_is_veiled_and_never_runs(tmp_path, serve, page):
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
def test_the_pages_have_no_serious_fault(here, serve, new_page, how):
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


def test_page_and_server_say_the_same_of_a_ranking(here, serve, new_page):
    """What is implied is told in the same words by the script and by told.in_words, for any ranks."""
    page, rng = new_page(), Random(0)
    page.goto(serve(here.app) + WORK)
    ready(page)
    ranks = [[rng.choice([None, *range(1, size + 1)]) for _ in range(size)] for size in range(2, 10) for _ in range(12)]
    words = page.evaluate("async all => all.map((await import('/static/ranking/sheet.js')).inWords)", ranks)
    assert words == [in_words(tuple(one)) for one in ranks]
