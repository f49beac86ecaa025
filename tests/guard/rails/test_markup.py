"""`markup` and `hosts`: what a page would run or fetch is taken out, ordinary links and code are left."""

from __future__ import annotations

import pytest

from tests.guard.rails.fakes import asked, check, edited, said
from trueline.core.config import ConfigError
from trueline.guard.rails import Markup
from trueline.guard.rails.hosts import host_of, on_list

RAIL = Markup(hosts=("docs.example.com", "*.cdn.example.org"))


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        ("see ![x](https://evil.test/a.png) ok", "see ![x][image] ok"),
        ("![x [y]](https://evil.test/a.png 'title')", "![x [y]][image]"),
        ("![x\n y](<https://evil.test/a.png>)", "![x\n y][image]"),
        ("![a](//evil.test/x)", "![a][image]"),
        ("![a](/\\evil.test/x)", "![a][image]"),
        ("![a][r]\n\n> [r]: https://evil.test/i", "![a][r]\n\n> [r][definition]"),
        ("[a](https://evil.test/g?d=secret)", "[a][link]"),
        ("go to https://evil.test/?q=secret.", "go to [link]."),
        ("https://docs.example.com@evil.test/x", "[link]"),
        ("<script>x</script>", "[html]x[html]"),
        ("<b onmouseover=x>", "<b[handler]x>"),
        ("[a](javascript:x)", "[a][script_link])"),
        ("<a href='java\nscript:x'>", "<a href='[script_link]'>"),
        ('<img alt=">" src="https://evil.test/x">', '<img alt=">" [attribute]">'),
        ("<p style='background:url(https://evil.test/x)'>", "<p style='background:[style])'>"),
    ],
)
def test_what_runs_or_leads_out_is_taken_out(reply, left):
    """Scripts, pictures and links that carry data to other hosts."""
    exchange = said(reply)
    ruling = check(RAIL, exchange, "output")
    assert (ruling.action, edited(ruling, exchange, "output")) == ("redact", left)


@pytest.mark.parametrize(
    "reply",
    [
        "![logo](https://docs.example.com/logo.png) and ![b](https://a.cdn.example.org/b.png?x=1)",
        "Read [the guide](https://en.example.net/wiki/Kite_(toy)) or https://example.net/a/b.html.",
        "if a < b and c > d: only = 5; once = 6",
        "![local](images/kite.png) and [part](#part-two)",
        "data: text/html is a media type; JavaScript: the good parts",
        "array[0]: 7, url: none, src = 5",
    ],
)
def test_ordinary_text_is_left(reply):
    """Hosts on the list, links without data, comparisons, local files and talk about types pass."""
    assert check(RAIL, said(reply), "output").action == "allow"


def test_which_links_go_is_a_setting():
    """All of other hosts, those that carry data, or none; pictures go in each case."""
    reply = "https://example.net/page and https://example.net/?q=1 and ![p](https://example.net/p.png)"
    for links, count in (("all", 3), ("carrying", 2), ("none", 1)):
        exchange = said(reply)
        assert edited(check(Markup(links=links), exchange, "output"), exchange, "output").count("[") - 1 == count


def test_fenced_code_is_left_where_the_policy_says_so():
    """A closed fence is skipped, an open one is not, nor one that HTML stands before."""
    rail = Markup(code=False)
    for reply, action in (
        ("```html\n<form>\n```\n", "allow"),
        ("```html\n<form>\n", "redact"),
        ("<div>\n```\n<form>\n```\n", "redact"),
        ("```\nx\n```\n<form>", "redact"),
    ):
        assert check(rail, said(reply), "output").action == action
    assert check(Markup(), said("```html\n<form>\n```\n"), "output").action == "redact"


def test_a_request_is_read_where_the_policy_says_so():
    """The input side is off by default, and can be on."""
    rail = Markup(sides=("input", "output"), places=("tool_result", "assistant"), action="block")
    assert check(rail, asked("![x](https://evil.test/)", place="tool_result")).action == "block"


@pytest.mark.parametrize(
    "url",
    ["https://user@good.test/", "https://good.test\\@evil.test/", "https://good.test%2eevil.test/", "https://good.test evil/", "ftp://good.test/",
     "https://good.test:bad/", "https:///good.test/", "https://g\u043eod.test/", "javascript://good.test/%0aalert(1)"],
)  # fmt: skip
def test_an_address_that_two_readers_take_differently_has_no_host(url):
    """And what has no host is on no list."""
    assert host_of(url) == ""
    assert not on_list(url, ("good.test", "*.test"))


def test_a_host_is_the_same_in_any_case_and_with_a_port():
    """The list names hosts, and a star what lies below."""
    assert on_list("HTTPS://Good.TEST.:8443/x", ("good.test",))
    assert on_list("https://a.b.good.test/", ("*.good.test",))
    assert not on_list("https://good.test/", ("*.good.test",))
    assert not on_list("https://evilgood.test/", ("*.good.test", "good.test"))


def test_hosts_and_links_that_are_none_are_refused():
    """A host is a name, without scheme or path."""
    with pytest.raises(ConfigError, match="hosts"):
        Markup(hosts=("https://example.com/",))
    with pytest.raises(ConfigError, match="links"):
        Markup(links="some")
