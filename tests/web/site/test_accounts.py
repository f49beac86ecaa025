"""Tests of accounts: passwords, sessions, roles, and logins that are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST

from tests.web.site.visiting import Browser, toy
from trueline.store.accounts import change_person, person_named
from trueline.store.opening import DatabaseError, open_database
from trueline.web.site.accounts import ADDRESS, HOURS, PAIR, WINDOW, Accounts, TooManyError
from trueline.web.site.outside import Outside

GOOD = "a sentence will do"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 28, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


def accounts_of(folder, clock=None):
    """Accounts of a new database, with hashes that cost nothing."""
    hasher = PasswordHasher.from_parameters(CHEAPEST)
    return Accounts(open_database(folder / "web.db"), now=clock or Clock(), hasher=hasher)


def test_a_password_is_stored_as_its_hash_alone(tmp_path):
    """What is stored is Argon2id's text, which verifies the password and does not hold it; so are a session's tokens."""
    accounts = accounts_of(tmp_path)
    row = accounts.add("ada", GOOD, ["annotator"])
    token = accounts.enter("ada", GOOD, "1.1.1.1")
    stored = (tmp_path / "web.db").read_bytes() + (tmp_path / "web.db-wal").read_bytes()
    assert row.password.startswith("$argon2id$")
    assert GOOD.encode() not in stored
    assert token.encode() not in stored


def test_only_the_password_opens_a_session(tmp_path):
    """A wrong password, an unknown name and a disabled account get nothing; the right one gets a visitor with its roles."""
    accounts = accounts_of(tmp_path)
    accounts.add("ada", GOOD, ["red-teamer", "annotator"])
    assert accounts.enter("ada", "another sentence", "1.1.1.1") is None
    assert accounts.enter("eve", GOOD, "1.1.1.1") is None
    visitor = accounts.inside(accounts.enter("ada", GOOD, "1.1.1.1"))
    assert visitor.roles == {"annotator", "red-teamer"}
    assert accounts.inside("guessed") is accounts.inside("") is None
    change_person(accounts.database, "ada", disabled="2026-11-28")
    assert accounts.enter("ada", GOOD, "1.1.1.1") is None


def test_a_session_ends_by_time_by_leaving_and_by_any_change(tmp_path):
    """After its hours, after a logout, and when the account is changed, a token is nobody's."""
    clock = Clock()
    accounts = accounts_of(tmp_path, clock)
    accounts.add("ada", GOOD, ["annotator"])
    first, second, third = (accounts.enter("ada", GOOD, "1.1.1.1") for _ in range(3))
    accounts.leave(first)
    assert accounts.inside(first) is None
    assert accounts.inside(second) is not None
    accounts.change_password("ada", GOOD + ", too")
    assert accounts.inside(second) is accounts.inside(third) is None
    late = accounts.enter("ada", GOOD + ", too", "1.1.1.1")
    clock.at += timedelta(hours=HOURS, seconds=1)
    assert accounts.inside(late) is None


def test_failures_are_counted_for_a_name_and_for_an_address(tmp_path):
    """After a few failures the right password waits too, from that address alone; when the window is over it goes on."""
    clock = Clock()
    accounts = accounts_of(tmp_path, clock)
    accounts.add("ada", GOOD, ["annotator"])
    for _ in range(PAIR):
        assert accounts.enter("ada", "wrong", "1.1.1.1") is None
    with pytest.raises(TooManyError) as refused:
        accounts.enter("ada", GOOD, "1.1.1.1")
    assert 0 < refused.value.wait <= WINDOW.total_seconds() + 1
    assert accounts.enter("ada", GOOD, "2.2.2.2")
    clock.at += WINDOW
    assert accounts.enter("ada", GOOD, "1.1.1.1")


def test_an_address_that_tries_many_names_waits(tmp_path):
    """Guessing one password for many names is counted for the address."""
    accounts = accounts_of(tmp_path)
    for index in range(ADDRESS):
        accounts.enter(f"name{index}", GOOD, "1.1.1.1")
    with pytest.raises(TooManyError):
        accounts.enter("another", GOOD, "1.1.1.1")


def test_success_is_no_failure(tmp_path):
    """Whoever knows the password may log in as often as they like, and what they mistyped before is forgotten."""
    accounts = accounts_of(tmp_path)
    accounts.add("ada", GOOD, ["annotator"])
    for _ in range(2 * ADDRESS):
        assert accounts.enter("ada", GOOD, "1.1.1.1")
    for _ in range(3):
        for _ in range(PAIR - 1):
            accounts.enter("ada", "wrong", "1.1.1.1")
        assert accounts.enter("ada", GOOD, "1.1.1.1")


def test_what_cannot_be_an_account_is_refused_in_words(tmp_path):
    """A short password, an unknown role, a strange name and a taken one say what was expected."""
    accounts = accounts_of(tmp_path)
    for name, password, roles, word in (
        ("ada", "short", ["annotator"], "12 to"),
        ("ada", GOOD, ["root"], "no role 'root'"),
        ("ada", GOOD, [], "at least one"),
        ("a\n", GOOD, ["annotator"], "printable"),
        ("local", GOOD, ["annotator"], "not `local`"),
    ):
        with pytest.raises(ValueError, match=word):
            accounts.add(name, password, roles)
    accounts.add("ada", GOOD, ["annotator"])
    with pytest.raises(DatabaseError, match="already"):
        accounts.add("ada", GOOD, ["admin"])
    assert person_named(accounts.database, "ada").roles == ("annotator",)


def site_with(tmp_path, roles, **outside):
    """A toy site with one account, and a browser that is not in yet."""
    accounts = accounts_of(tmp_path)
    accounts.add("ada", GOOD, roles)
    return Browser(toy(tmp_path, accounts=accounts, outside=Outside(**outside)))


def test_nobody_sees_a_page_before_logging_in(tmp_path):
    """A page leads to the login, its twin and an action say 401, and after the login the page is there."""
    browser = site_with(tmp_path, ["operator"])
    assert browser.get("/toy").headers["location"] == "/login?to=/toy"
    assert browser.get("/toy.json").status_code == browser.json("/toy/change", {}).status_code == 401
    wrong = browser.form("/login", {"name": "ada", "password": "a mistyped sentence", "to": "/toy"})
    assert wrong.status_code == 403
    assert "mistyped" not in wrong.text
    went = browser.form("/login", {"name": "ada", "password": GOOD, "to": "/toy"})
    assert (went.status_code, went.headers["location"]) == (303, "/toy")
    assert {"httponly", "samesite=strict"} <= set(went.headers["set-cookie"].lower().split("; "))
    assert browser.get("/toy.json").json()["by"] == "ada"


def test_a_role_is_needed_for_what_asks_for_it(tmp_path):
    """An annotator sees the page and may not change it; an admin may."""
    annotator = site_with(tmp_path, ["annotator"])
    annotator.form("/login", {"name": "ada", "password": GOOD})
    token = annotator.token("/toy")
    refused = annotator.form("/toy/change", {"csrf": token, "words": "one"})
    assert refused.status_code == 403
    assert "operator" in refused.text


def test_logging_out_ends_the_session_and_needs_the_token(tmp_path):
    """Another site cannot log anybody out; a logout forgets the session on the server."""
    browser = site_with(tmp_path, ["admin"])
    browser.form("/login", {"name": "ada", "password": GOOD})
    kept, token = dict(browser.cookies), browser.token("/toy")
    assert browser.form("/logout", {"csrf": "guessed"}).status_code == 403
    assert browser.get("/toy").status_code == 200
    assert browser.form("/logout", {"csrf": token}).headers["location"].startswith("/login")
    browser.cookies = kept
    assert browser.get("/toy").status_code == 303


def test_over_tls_the_cookie_is_sent_over_nothing_else(tmp_path):
    """Behind a proxy with HTTPS the cookie is Secure under the __Host- prefix, and the site's origin is https."""
    browser = site_with(tmp_path, ["admin"], tls=True)
    browser.url = "https://127.0.0.1:8100"
    went = browser.form("/login", {"name": "ada", "password": GOOD})
    assert went.headers["set-cookie"].startswith("__Host-trueline_session=")
    assert "secure" in went.headers["set-cookie"].lower()
    assert browser.get("/toy").headers["strict-transport-security"]


def test_too_many_failures_are_told_with_when_to_come_back(tmp_path):
    """The page says 429 and how long, in words and in Retry-After."""
    browser = site_with(tmp_path, ["admin"])
    for _ in range(PAIR):
        browser.form("/login", {"name": "ada", "password": "wrong"})
    late = browser.form("/login", {"name": "ada", "password": GOOD})
    assert late.status_code == 429
    assert int(late.headers["retry-after"]) > 0
    assert "minutes" in late.text
