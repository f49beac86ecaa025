"""Tests of web/site/site.py: every page has a twin, every action a token, and nothing hostile gets through."""

from __future__ import annotations

import json

from tests.web.site.visiting import HOSTILE, URL, Browser, toy
from trueline.web.site.outside import Outside


def test_a_page_and_its_twin_show_the_same(tmp_path):
    """What the template is filled with is what the JSON says, whole."""
    browser = Browser(toy(tmp_path))
    page, twin = browser.get("/toy"), browser.get("/toy.json")
    assert page.status_code == twin.status_code == 200
    assert twin.json() == {"title": HOSTILE, "words": HOSTILE, "by": "local"}
    assert 'href="/toy.json"' in page.text
    assert browser.get("/toy/known?n=7").text.count('href="/toy/known.json?n=7"') == 1


def test_hostile_text_is_shown_and_never_runs(tmp_path):
    """Markup in values, notes and addresses comes out escaped."""
    browser = Browser(toy(tmp_path))
    for path in ("/toy", "/toy?said=%3Cscript%3Ealert(1)%3C/script%3E", "/toy/%3Cimg%20src=x%20onerror=a%3E"):
        text = browser.get(path).text
        assert "<script>alert" not in text
        assert "<img" not in text


def test_pages_say_what_a_browser_may_load(tmp_path):
    """The policy allows scripts and styles of this site by file alone, and pages are stored nowhere."""
    headers = Browser(toy(tmp_path)).get("/toy").headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_no_page_has_inline_scripts_or_styles(tmp_path):
    """What the policy would stop is not there in the first place."""
    text = Browser(toy(tmp_path)).get("/toy").text
    assert "<style" not in text
    assert " style=" not in text
    assert all("src=" in tag for tag in text.split("<script")[1:])


def test_an_action_takes_a_form_and_json(tmp_path):
    """A form is answered with a redirect that says what was done, a script with JSON."""
    browser = Browser(toy(tmp_path))
    token = browser.token("/toy")
    went = browser.form("/toy/change", {"csrf": token, "words": "one"})
    assert (went.status_code, went.headers["location"]) == (303, "/toy?said=now%20one")
    told = browser.json("/toy/change", {"words": "two"}, **{"x-csrf-token": token})
    assert told.json() == {"to": "/toy", "said": "now two", "words": "two"}
    assert "two" in browser.get("/toy").text


def test_an_action_without_the_token_changes_nothing(tmp_path):
    """A missing or a wrong token is refused, in a form and in JSON."""
    browser = Browser(toy(tmp_path))
    for token in ("", "guessed", "é"):
        assert browser.form("/toy/change", {"csrf": token, "words": "one"}).status_code == 403
        assert browser.json("/toy/change", {"csrf": token, "words": "one"}).status_code == 403
    assert browser.get("/toy.json").json()["words"] == HOSTILE


def test_a_post_of_another_site_is_turned_away(tmp_path):
    """Origin and Sec-Fetch-Site must say that it comes from here, whatever the token."""
    browser = Browser(toy(tmp_path))
    fields = {"csrf": browser.token("/toy"), "words": "one"}
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert browser.form("/toy/change", fields, **headers).status_code == 403
    assert browser.form("/toy/change", fields, origin=URL).status_code == 303


def test_a_foreign_host_name_is_turned_away(tmp_path):
    """A site that has its name point here gets nothing; a name that was allowed gets the page."""
    browser = Browser(toy(tmp_path, outside=Outside(hosts=("127.0.0.1", "trueline.example"))))
    assert browser.get("/toy", host="evil.example").status_code == 403
    assert browser.get("/toy", host="trueline.example:8100").status_code == 200


def test_errors_are_told_in_kind_and_hide_the_inside(tmp_path):
    """404, 400 and 403 say why, on the page and in its twin; what nobody foresaw says nothing of itself."""
    browser = Browser(toy(tmp_path))
    assert browser.get("/toy/other").status_code == browser.get("/toy/other.json").status_code == 404
    assert browser.get("/toy/other.json").json() == {"error": "there is no other"}
    assert "from 1 to 9" in browser.get("/toy/known.json?n=99").json()["error"]
    broken = browser.get("/toy/broken")
    assert broken.status_code == 500
    assert "secret" not in broken.text
    token = browser.token("/toy")
    assert browser.json("/toy/change", {"words": "no"}, **{"x-csrf-token": token}).json() == {"error": "not this word"}
    assert browser.get("/nothing").status_code == 404


def test_bodies_are_read_up_to_a_limit_and_must_be_what_they_say(tmp_path):
    """Too much, no JSON, a list, or half of a surrogate pair is refused before anything is done."""
    browser = Browser(toy(tmp_path))
    token = browser.token("/toy")
    assert browser.json("/toy/change", {"words": "x" * 2000}, **{"x-csrf-token": token}).status_code == 413
    assert browser.json("/toy/change", [1], **{"x-csrf-token": token}).status_code == 400
    raw = {"content-type": "application/json", "origin": URL, "x-csrf-token": token}
    for body in (b"{", json.dumps({"words": "\ud800"}).encode(), b"[" * 500):
        assert browser._send("POST", "/toy/change", content=body, headers=raw).status_code == 400


def test_static_files_are_served_by_name_and_kept_by_their_hash(tmp_path):
    """A file at its hashed address may be kept for ever; nothing outside the rooms' static folders is served."""
    browser = Browser(toy(tmp_path))
    page = browser.get("/toy").text
    address = page.split('<link rel="stylesheet" href="')[1].split('"')[0]
    assert "immutable" in browser.get(address).headers["cache-control"]
    assert browser.get("/static/toy/toy.js").headers["cache-control"] == "no-cache"
    assert browser.get("/static/toy/toy.js").headers["content-type"].startswith("text/javascript")
    for path in ("/static/toy/../templates/toy.html", "/static/toy/..%2Ftemplates%2Ftoy.html", "/static//etc/passwd"):
        assert browser.get(path).status_code == 404


def test_an_action_that_cannot_be_done_leads_back(tmp_path):
    """A form is led to the page to go on with and told why; a script gets the status, the text and what else was said."""
    browser = Browser(toy(tmp_path))
    token = browser.token("/toy")
    went = browser.form("/toy/change", {"csrf": token, "words": "late"})
    assert (went.status_code, went.headers["location"]) == (303, "/toy?said=somebody%20was%20faster")
    told = browser.json("/toy/change", {"words": "late"}, **{"x-csrf-token": token})
    assert (told.status_code, told.json()) == (409, {"error": "somebody was faster", "to": "/toy", "by": "bob"})


def test_a_file_is_taken_away_under_a_harmless_name(tmp_path):
    """It is an attachment, byte for byte, and nothing of its name can mislead a browser or a shell."""
    browser = Browser(toy(tmp_path))
    sent = browser.get("/toy/file/known")
    assert (sent.status_code, sent.content) == (200, HOSTILE.encode())
    assert sent.headers["content-disposition"] == 'attachment; filename="script-alert-1-script-img-src-x-onerror-alert-2-7-7"'
    assert sent.headers["content-type"].startswith("text/plain")
    assert browser.get("/toy/file/other").status_code == 404
