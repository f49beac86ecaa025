"""The whole site: every room together in one app, as `trueline web` serves it."""

from __future__ import annotations

import pytest

from tests.web.site.test_accounts import GOOD, accounts_of
from tests.web.site.visiting import Browser, toy
from trueline.store.opening import open_database
from trueline.web.app import ROOMS
from trueline.web.site.room import Page, Room
from trueline.web.site.site import Site, site

PLAIN = sorted({page.path for room in ROOMS for page in room.pages if "{" not in page.path})


@pytest.fixture
def browser(tmp_path):
    """A browser before the site of an empty database."""
    return Browser(site(Site(database=open_database(tmp_path / "web.db"), runs=tmp_path / "runs"), ROOMS))


@pytest.mark.parametrize("path", PLAIN)
def test_every_page_answers_with_nothing_stored(browser, path):
    """A page without a name in its path is there on the first day, and so is its twin."""
    page, twin = browser.get(path), browser.get(f"{path}.json")
    assert page.status_code == twin.status_code == 200
    assert "<h1" in page.text
    assert isinstance(twin.json(), dict)


def test_a_name_that_nothing_has_is_not_found(browser):
    """A page of something that is not stored says so, and no error of ours comes out."""
    for path in sorted({page.path for room in ROOMS for page in room.pages if "{" in page.path}):
        for odd in ("nothing", "..%2F..%2Fetc", "%3Cb%3E", "a" * 300, "%00"):
            asked = "".join(
                odd if part.startswith("{") else part for part in path.replace("{", "\0{").replace("}", "}\0").split("\0")
            )
            assert browser.get(asked).status_code in (404, 400), asked


def test_paths_and_names_are_taken_once():
    """No two rooms share a name, a path or an action, so that each address means one thing."""
    paths = [page.path for room in ROOMS for page in room.pages]
    actions = [action.path for room in ROOMS for action in room.actions]
    for some in (paths, actions, [room.name for room in ROOMS]):
        assert len(some) == len(set(some))


def test_rooms_with_a_template_of_one_name_are_refused(tmp_path):
    """One would be shown the other's: the app is not built."""
    toy(tmp_path)
    (tmp_path / "more" / "templates").mkdir(parents=True)
    (tmp_path / "more" / "templates" / "toy.html").write_text("")
    rooms = [
        Room(
            name=name, title=name, home=f"/{name}", folder=tmp_path / name, pages=(Page(f"/{name}", lambda _: {}, "toy.html"),)
        )
        for name in ("toy", "more")
    ]
    with pytest.raises(ValueError, match=r"toy\.html"):
        site(Site(database=open_database(tmp_path / "web.db")), rooms)


@pytest.mark.parametrize(
    ("role", "sees"),
    [
        ("annotator", {"/ranking"}),
        ("red-teamer", {"/findings", "/redteam"}),
        ("operator", set(PLAIN) - {"/people"}),
        ("admin", set(PLAIN)),
    ],
)
def test_a_role_sees_what_is_its_own(tmp_path, role, sees):
    """Of all pages each role gets those that are its own, and is refused the others."""
    accounts = accounts_of(tmp_path)
    accounts.add("ada", GOOD, [role])
    browser = Browser(site(Site(database=accounts.database, accounts=accounts, runs=tmp_path / "runs"), ROOMS))
    browser.form("/login", {"name": "ada", "password": GOOD})
    found = {path: browser.get(path).status_code for path in PLAIN}
    assert {path for path, status in found.items() if status == 200} >= sees
    assert set(found.values()) <= {200, 403}
    if role == "annotator":
        assert {path for path, status in found.items() if status == 200} == sees
