"""A real browser on the kit's own pages: it logs in, is told what is wrong, and finds no fault with them."""

from __future__ import annotations

from tests.accessible import assert_accessible
from tests.browser import DARK, PHONE
from tests.web.site.test_accounts import GOOD, accounts_of
from tests.web.site.visiting import HOSTILE
from trueline.web.site.login import PEOPLE
from trueline.web.site.site import Site, site


def pages_of(tmp_path):
    """A site with the people's room and two accounts, one of which has a hostile name."""
    accounts = accounts_of(tmp_path)
    accounts.add("ada", GOOD, ["admin"])
    accounts.add(HOSTILE.replace("\u202e", "")[:64], GOOD, ["annotator"])
    return site(Site(database=accounts.database, accounts=accounts), [PEOPLE])


def test_a_person_logs_in_by_the_keyboard(tmp_path, page, serve, faults):
    """A mistyped password is told and forgotten; the right one leads to where one wanted to go, and logging out ends it."""
    url = serve(pages_of(tmp_path))
    page.goto(url + "/people")
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type("a mistyped sentence")
    page.keyboard.press("Enter")
    assert "no account has this name" in page.get_by_role("alert").inner_text()
    faults.take("403")
    page.keyboard.type(GOOD)
    page.keyboard.press("Enter")
    page.wait_for_url(url + "/people")
    assert page.get_by_role("heading", name="People").is_visible()
    page.get_by_role("button", name="Log out").press("Enter")
    page.wait_for_url(url + "/login?said=*")


def test_the_kits_pages_have_no_serious_fault(tmp_path, new_page, serve):
    """Light and dark, wide and on a phone, axe-core finds nothing serious, and no page scrolls sideways."""
    url = serve(pages_of(tmp_path))
    for options in ({}, DARK, PHONE):
        page = new_page(**options)
        page.goto(url + "/login?to=/people")
        assert_accessible(page)
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill(GOOD)
        page.keyboard.press("Enter")
        page.wait_for_url(url + "/people")
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
