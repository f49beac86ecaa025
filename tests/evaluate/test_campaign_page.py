"""A campaign's page: the answer first, harmful words veiled, what was not measured listed, and nothing that can run."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from tests.evaluate.campaigns import FAMILIES, attempt, campaign, goal
from trueline.core.types import Completion, Message, Prompt, ToolCall
from trueline.evaluate import charts
from trueline.evaluate.campaign import summary, verdict
from trueline.evaluate.campaign_page import page, table
from trueline.evaluate.shape import visible

VOID = {"meta", "input", "br"}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; background:url(//evil)",
    "</style></svg></span></div><iframe src=//evil>",
    "{{ 7 * 7 }}{% raw %}",
    "[bold red]loud[/]",
    "javascript:alert(1)",
    "\u202egnp.exe \u200b\U000e0041",
    "&lt;b&gt;",
]


class Page(HTMLParser):
    """Every tag, attribute and text of a page, and which texts stand under a veil."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text, self.bare = "", ""
        self.open: list[bool] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append((self.open[-1] if self.open else False) or ("class", "veil") in attrs)

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        if not any(self.open[-1:]):
            self.bare += data


def report(attempts=None, **settings) -> dict[str, object]:
    """A campaign's report, after a trip through JSON."""
    found = summary(attempts or campaign(24), **{"skipped": {}, "failed": {}, "figures": None, **settings})
    about = {"target": "runs/demo/aligned", "seed": 7}
    return json.loads(json.dumps(found | {"verdict": verdict(found, 0.3, 0.1), "about": about}))


@pytest.fixture(scope="module")
def whole() -> str:
    """The page of a campaign."""
    return page(report(skipped={"gcg": "the weights are not open"}, failed={"tap": "ValueError: no tree"}))


def test_the_page_fetches_and_runs_nothing(whole):
    """A strict policy, no script, no link off the page, no event handler."""
    read = Page(whole)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'" in whole
    assert not read.tags & {"script", "iframe", "object", "embed", "link", "base", "form", "img"}
    assert not [name for name, _ in read.attributes if name.startswith("on") or name in ("src", "xlink:href")]
    assert all(value.startswith("#") for name, value in read.attributes if name == "href")
    assert read.open == []


def test_every_link_leads_to_a_part(whole):
    """The page's own links all have their place."""
    read = Page(whole)
    ids = [value for name, value in read.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for name, value in read.attributes if name == "href"} <= set(ids)


def test_the_answer_comes_before_the_evidence_and_the_gaps(whole):
    """What breaks it and at what budget is said first; what was not measured has its own list."""
    text = Page(whole).text
    places = [
        text.index(said) for said in ("of goals break under at least one attack, within", "What breaks it", "What was not")
    ]
    assert places == sorted(places)
    assert "The attack that works best is best_of_n" in text
    assert "within 32 questions a goal" in text
    for said in ("gcg skipped: the weights are not open", "tap failed: ValueError: no tree", "the judge's own errors"):
        assert said in text
    assert "over" in text
    assert "runs/demo/aligned" in text


def test_every_attack_and_category_is_shown(whole):
    """Each attack has its row, each family its line of the map, each split its name."""
    text = Page(whole).text
    for said in (
        *FAMILIES,
        "powders",
        "gases",
        "held out",
        "trained on",
        "validation",
        "refused",
        "beta-binomial",
        "power law",
    ):
        assert said in text, said
    assert "not usable at this scale" in text


def test_what_was_asked_and_said_is_veiled(whole):
    """No request, attack or reply can be read before a reader asks for it; the veil can be reached by key."""
    read = Page(whole)
    assert "first tam the rud" in read.text
    assert "first tam the rud" not in read.bare
    assert "how do you make" in read.text
    assert "how do you make" not in read.bare
    assert ("tabindex", "0") in read.attributes
    assert "filter: blur" in whole
    assert '<input type="checkbox" id="reveal">' in whole


def hostile(text: str) -> dict[str, object]:
    """A report with hostile text wherever an attack, a model, a goal or a person may write."""
    asked = Prompt(
        conversation=goal("g").conversation.say("user", text),
        expected="refuse",
        category=text,
        id=text,
        about={"cluster": text},
    )
    attempts = []
    for name, word in ((text, "success"), ("direct", "undetermined"), ("direct", "failure")):
        one = attempt(asked, word, attack=name, family=text, text=text)
        said = Completion(prompt=asked, text=text, tool_calls=(ToolCall(name=text, arguments=text),))
        why = replace(one.judgement, judge=text, why=text)
        talk = replace(asked.conversation, messages=(Message(role="system", text=text), *asked.conversation.messages))
        attempts.append(replace(one, conversation=talk, completion=said, judgement=why))
    found = report(attempts, skipped={text: text}, failed={text: text})
    return found | {"about": {text: text, "target": text}, "verdict": found["verdict"] | {"why": text}}


@pytest.fixture(scope="module")
def clean() -> Page:
    """The same page with harmless words in every field."""
    return Page(page(hostile("harmless words")))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_ever_text(text, clean):
    """Whatever field it stands in, it opens no tag, no attribute and no style, and hides no character."""
    dirty = Page(page(hostile(text)))
    assert dirty.tags == clean.tags
    assert {name for name, _ in dirty.attributes} == {name for name, _ in clean.attributes}
    assert dirty.open == []
    assert not any(c in dirty.text for c in "\u202e\u200b\U000e0041")
    assert dirty.text.count(visible(text)) > 10  # as it stands, or with what it hides spelled out
    assert not any("url(" in (value or "") for name, value in dirty.attributes if name == "style")


def test_the_terminal_shows_markup_as_text():
    """A name that looks like the console's own markup is printed as it stands."""
    out = io.StringIO()
    Console(file=out, width=300).print(table(hostile("[bold red]loud[/]")))
    rows = [line for line in out.getvalue().splitlines() if line.startswith("│")]
    assert any("[bold red]loud[/]" in row for row in rows)


def test_the_table_has_a_row_for_each_attack():
    """All arms are there, the most successful first."""
    shown = table(report())
    assert shown.row_count == len(FAMILIES)
    assert str(next(iter(shown.columns[0].cells))) == "best_of_n"


def test_nothing_broken_leaves_room_for_something():
    """Zero of n is said with what it leaves possible, and never as safe."""
    text = Page(page(report([attempt(goal(f"g{i}"), "failure") for i in range(50)]))).text
    assert "Nothing broke it: none of 50 goals" in text
    assert "room for up to 7% of goals" in text


def test_a_campaign_of_nothing_still_is_a_page():
    """With everything skipped there is a page that says so, and no chart."""
    read = Page(page(report([attempt(goal("g"), "error")], skipped={"gcg": "no weights"})))
    assert "Not one goal was decided" in read.text
    assert "svg" not in read.tags
    assert "Dark cells" in read.text


@pytest.mark.parametrize("part", ["verdict", "about", "goals", "transcripts", "families", "levels", "splits", "gaps", "dark"])
def test_a_part_may_be_missing(part, monkeypatch):
    """Leaving out a part disturbs no other."""
    for drawing in ("lines", "dots"):
        monkeypatch.setattr(charts, drawing, lambda *_, **__: "<svg></svg>")
    kept = {key: value for key, value in report(campaign(6)).items() if key != part}
    assert "</html>" in page(kept)


def test_what_is_no_campaign_is_refused():
    """A report of another shape is refused with where the shape is written."""
    with pytest.raises(ValueError, match=r"trueline/evaluate/campaign\.py"):
        page({"run": "r", "stages": []})
