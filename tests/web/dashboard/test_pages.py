"""Tests of the dashboard's pages: each has its twin, its roles, words for nothing, and no hostile text gets through."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.web.dashboard.planted import dashboard, paths, run_id
from tests.web.site.test_accounts import GOOD, accounts_of
from tests.web.site.visiting import HOSTILE, Browser
from trueline.store.opening import open_database
from trueline.web.dashboard.rooms import DASHBOARD
from trueline.web.site.site import Site, site


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A full dashboard in plain words."""
    return Browser(dashboard(tmp_path_factory.mktemp("plain")))


def twin(browser: Browser, path: str) -> dict:
    """What a page's JSON says."""
    address, mark, query = path.partition("?")
    answer = browser.get(f"{quote(address)}.json{mark}{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_page_is_there_with_its_twin(plain):
    """Each page answers with HTML under a heading, links its twin, and the twin is JSON; / leads to the first."""
    assert plain.get("/").headers["location"] == "/overview"
    for path in paths().values():
        page = plain.get(path)
        assert page.status_code == 200, path
        assert page.text.count("<h1>") == 1, path
        assert f'href="{path}.json' in page.text
        assert twin(plain, path)


def test_pages_of_an_empty_store_say_what_fills_them(tmp_path):
    """Nothing is there, nothing breaks, and each page names the command; nothing unmeasured is shown as zero."""
    browser = Browser(site(Site(database=open_database(tmp_path / "web.db"), runs=tmp_path / "none"), DASHBOARD))
    for name, path in paths().items():
        page = browser.get(path)
        if name in ("run", "attack", "finding", "watch"):
            assert page.status_code == 404
            continue
        assert page.status_code == 200
        assert "<code>trueline " in page.text
        assert "0%" not in page.text


def test_hostile_text_is_shown_and_never_runs(tmp_path):
    """Markup in every name, id and text comes out escaped, on every page, and characters that hide are spelled out."""
    browser = Browser(dashboard(tmp_path, HOSTILE))
    cell = f"/attacks/{quote(run_id('attack-1', HOSTILE))}?family={quote('role' + HOSTILE)}"
    compared = f"/compare?a={quote(paths(HOSTILE)['run'][6:])}&b={quote(paths(HOSTILE)['run'][6:])}"
    stage = f"{quote(paths(HOSTILE)['run'])}?stage={quote('sft' + HOSTILE)}"
    for path in (*map(quote, paths(HOSTILE).values()), cell, compared, stage, f"/findings?family={quote('role' + HOSTILE)}"):
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer.text[-400:])
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text
        assert " style=" not in answer.text
        assert "\u202e" not in _shown(answer.text)
        assert "&lt;script&gt;alert(1)" in answer.text, path
        assert "⟩49" not in answer.text, path


def _shown(html: str) -> str:
    """What stands between tags: an option's value is an address, and is sent back as it is."""
    return "".join(part.partition(">")[2] for part in html.split("<"))


def test_what_each_role_sees(tmp_path):
    """Operators and admins see all; red-teamers findings alone; annotators nothing, and the navigation says so."""
    accounts = accounts_of(tmp_path)
    for role in ("annotator", "red-teamer", "operator", "admin"):
        accounts.add(role, GOOD, [role])
    app = dashboard(tmp_path, database=accounts.database, accounts=accounts)
    seen = {}
    for role in ("annotator", "red-teamer", "operator", "admin"):
        browser = Browser(app)
        assert browser.get("/overview").status_code == 303
        browser.form("/login", {"name": role, "password": GOOD, "to": "/"})
        seen[role] = {name for name, path in paths().items() if browser.get(path).status_code == 200}
        assert {name for name, path in paths().items() if browser.get(path + ".json").status_code == 200} == seen[role]
    assert seen["operator"] == seen["admin"] == set(paths())
    assert seen["red-teamer"] == {"findings", "finding"}
    assert seen["annotator"] == set()


def test_a_red_teamer_is_led_to_the_findings(tmp_path):
    """The first page of a visitor is the first that they may see, and a finding shows them no link that they may not follow."""
    accounts = accounts_of(tmp_path)
    accounts.add("ada", GOOD, ["red-teamer"])
    browser = Browser(dashboard(tmp_path, database=accounts.database, accounts=accounts))
    assert browser.get("/").headers["location"] == "/login?to=/"
    browser.form("/login", {"name": "ada", "password": GOOD, "to": "/"})
    assert browser.get("/").headers["location"] == "/findings"
    text = browser.get("/findings/key").text
    assert "/attacks/" not in text
    assert '<a href="/runs"' not in text


def test_attack_success_never_stands_without_over_refusal(plain):
    """Wherever a campaign or a rung is listed, both are there; where one was not measured, it is None and not zero."""
    for one in twin(plain, "/overview")["campaigns"] + twin(plain, "/attacks")["campaigns"]:
        assert one["attack_success"]["n"] == 8
        assert one["over_refusal"]["n"] == 8
    for rung in twin(plain, paths()["run"])["ladder"]:
        assert {"attack", "over_refusal"} <= rung.keys()
    for one in twin(plain, "/watch/watch")["rounds"]:
        assert (one["attack_success"] is None) == (one["over_refusal"] is None) == (one["state"] == "running")
    assert "not measured" in plain.get("/watch/watch").text
