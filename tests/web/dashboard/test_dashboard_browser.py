"""A real browser walks through all pages of the dashboard: light, dark and on a phone, with hostile words in every field."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.accessible import assert_accessible
from tests.browser import DARK, PHONE
from tests.walking import Hands, assert_fits
from tests.web.dashboard.planted import CAMPAIGN, OTHER, TRAINING, dashboard, metrics, paths, run_id, write_run
from tests.web.site.visiting import HOSTILE
from trueline.core.types import Run
from trueline.store.opening import open_database
from trueline.web.dashboard.rooms import DASHBOARD
from trueline.web.site.site import Site, site


@pytest.fixture(scope="module")
def apps(tmp_path_factory):
    """The dashboard in plain words, and full of markup."""
    return {words: dashboard(tmp_path_factory.mktemp("pages"), words) for words in ("", HOSTILE)}


def every_page(words: str) -> list[str]:
    """All pages, and those that a query makes another one."""
    cell = f"/attacks/{quote(run_id(CAMPAIGN, words))}?family={quote('role' + words)}&outcome=success"
    pair = f"/compare?a={quote(paths(words)['run'][6:])}&b={quote(paths(words)['run'][6:])}"
    return [*map(quote, paths(words).values()), cell, pair]


@pytest.mark.parametrize("options", [{}, DARK], ids=["light", "dark"])
def test_every_page_is_accessible_and_fits(apps, new_page, serve, options):
    """Light and dark, axe-core finds nothing serious on any page, and none is wider than its screen."""
    page, url = new_page(**options), serve(apps[""])
    for path in every_page(""):
        page.goto(url + path)
        assert_accessible(page)
        assert_fits(page)


def test_hostile_words_never_run_on_a_phone(apps, new_page, serve):
    """With markup in every field there is no console error, dialog, request to elsewhere or element out of a text, also once
    unveiled; each page says the words, is accessible, and fits a phone."""
    page, url = new_page(**PHONE), serve(apps[HOSTILE])
    for path in every_page(HOSTILE):
        page.goto(url + path)
        for veil in page.locator("[data-veil]").all():
            veil.tap()
        assert page.locator("img").count() == page.locator("main script").count() == 0
        offered = " ".join(page.locator("option").evaluate_all("all => all.map(one => one.value)")).replace("\u2215", "/")
        assert "<script>alert(1)</script>" in page.locator("body").inner_text() + offered
        assert_accessible(page)
        assert_fits(page)


def test_from_the_first_page_to_a_transcript_by_the_keyboard(apps, new_page, serve):
    """Overview, campaign, a cell of the map, its transcripts, and one of them opened and veiled again: no mouse is used."""
    page, url = new_page(), serve(apps[""])
    hands = Hands(page)
    page.goto(url + "/")
    hands.tab_to(page.get_by_role("region", name="Campaigns").get_by_role("link", name=CAMPAIGN))
    hands.press("Enter")
    page.wait_for_url(f"**/attacks/{run_id(CAMPAIGN, '')}")
    hands.tab_to(page.get_by_role("link", name="role, powders0:"))
    hands.press("Enter")
    page.wait_for_url("**family=role*")
    veil = page.locator("[data-veil]").first
    hands.tab_to(veil)
    text = page.locator(".veiled").first
    assert "open" not in text.get_attribute("class").split()
    hands.press("Enter")
    assert "open" in text.get_attribute("class").split()
    hands.press("Space")
    assert "open" not in text.get_attribute("class").split()


def test_a_run_under_way_renews_its_curve(tmp_path, new_page, serve):
    """What is written after the page was opened is drawn without a reload; the refreshing can be stopped."""
    runs = tmp_path / "runs"
    write_run(runs / "one", Run(id="one", recipe="dpo"), None, metrics("sft", "", 3))
    page, url = new_page(), serve(site(Site(database=open_database(tmp_path / "web.db"), runs=runs), DASHBOARD))
    page.clock.install()
    page.goto(url + "/runs/one")
    with (runs / "one" / "metrics.jsonl").open("a") as handle:
        handle.write("".join(metrics("dpo", "", 3)))
    page.clock.run_for(10_000)
    page.wait_for_selector("figcaption:has-text('dpo')")
    stop = page.get_by_role("button", name="Stop refreshing")
    stop.press("Enter")
    assert page.get_by_role("button", name="Refresh again").is_visible()


def test_pages_are_read_without_javascript(apps, new_page, serve):
    """Every page shows its tables and texts, and filters and comparisons are sent as plain forms."""
    page, url = new_page(java_script_enabled=False), serve(apps[""])
    page.goto(url + "/findings")
    page.get_by_label("Severity", exact=True).select_option("high")
    page.get_by_role("button", name="Filter").click()
    assert "severity=high" in page.url
    assert page.get_by_role("link", name="key").count() >= 1
    page.goto(url + "/compare")
    page.get_by_label("First").fill(CAMPAIGN)
    page.get_by_label("Second").fill(OTHER)
    page.get_by_role("button", name="Compare").click()
    assert page.get_by_role("heading", name=f"{CAMPAIGN} and {OTHER}").is_visible()
    page.goto(f"{url}/runs/{TRAINING}")
    assert page.get_by_role("heading", name="The ladder").is_visible()
