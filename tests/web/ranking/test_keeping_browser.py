"""Tests of what the desk keeps, in a real browser: two tabs, no connection, no session, a lease that ends, the time counted."""

from __future__ import annotations

import pytest

from tests.walking import focus
from tests.web.ranking.at_desk import WORK, heard, last, ready
from tests.web.ranking.seated import GOOD, house
from trueline.store.ranking_records import as_shown
from trueline.store.ranking_work import next_item


@pytest.fixture
def here(tmp_path):
    """Give a site whose project asks both questions of four cards."""
    return house(tmp_path / "a.db", n=6, size=4, questions=("helpful", "harmless"), guidelines="Be fair.")


def test_two_tabs_and_a_choice(here, serve, new_page, faults):
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


def test_a_lost_connection_loses_nothing(here, serve, new_page, faults):
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


def test_an_item_that_was_taken_over_is_told(here, serve, new_page, faults):
    """When another annotator has the item by now, the page says so and offers the next."""
    page = new_page()
    page.goto(serve(here.app) + WORK)
    ready(page)
    here.clock.move(901)
    assert next_item(here.database, "one", "p2", here.clock()).assignment
    page.keyboard.press("1")
    page.get_by_role("button", name="Next item").wait_for()
    assert "another annotator has taken it over" in page.locator("[data-notice]").inner_text()
    assert focus(page) == "button Next item"
    page.keyboard.press("Enter")
    ready(page)
    page.locator("[data-notice]").wait_for(state="hidden")
    faults.take("409")


def test_active_time_stops_when_nobody_is_there(here, serve, new_page):
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


def test_a_lease_that_ran_out_is_told_and_may_be_gone_on_with(tmp_path, serve, new_page):
    """Who comes back after the lease is told, and goes on by one key as long as nobody has taken the item over."""
    here = house(tmp_path / "a.db", lease=120)
    page = new_page()
    page.clock.install()
    page.goto(serve(here.app) + WORK)
    ready(page)
    page.keyboard.press("1")
    page.clock.run_for(1_000)
    page.locator("[data-saved]").filter(has_text="draft saved").wait_for()
    page.clock.run_for(125_000)
    assert "ran out" in page.locator("[data-notice]").inner_text()
    assert focus(page) == "button Go on"
    page.keyboard.press("Enter")
    heard(page, "your draft is saved")
    assert focus(page).startswith("article Card A")


def test_a_lease_is_renewed_while_somebody_is_reading(tmp_path, serve, new_page):
    """Touching the page is enough: no rank needs to be given for the item to stay one's own."""
    here = house(tmp_path / "a.db", lease=120)
    page = new_page()
    page.clock.install()
    page.goto(serve(here.app) + WORK)
    ready(page)
    for _ in range(2):
        for _ in range(3):
            page.keyboard.press("j")
            page.clock.run_for(30_000)
        page.locator("[data-saved]").filter(has_text="draft saved").wait_for()
    assert page.locator("[data-notice]").is_hidden()


def test_a_session_that_ended_loses_nothing(tmp_path, serve, new_page, faults):
    """Who is logged out while ranking is told; after the next login what the tab had is there again, and is saved."""
    here = house(tmp_path / "a.db", accounts={"ann": ["annotator"]})
    page, base = new_page(), serve(here.app)

    def log_in():
        page.goto(f"{base}/login?to={WORK}")
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill(GOOD)
        page.keyboard.press("Enter")
        ready(page)

    log_in()
    page.context.clear_cookies()
    page.keyboard.press("2")
    heard(page, "The draft was not saved: log in first")
    log_in()
    page.locator("[data-saved]").filter(has_text="draft saved").wait_for()
    assert page.locator("[data-card='0'] [value='2']:checked").count() == 1
    stands = last(here, "draft")
    assert as_shown(stands.given.helpful, stands.assignment)[0] == 2
    faults.take("401")
