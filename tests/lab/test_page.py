"""The lab's page holds every expectation, and nothing that a model wrote can do anything on it.

pytest tests/lab/test_page.py
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner
from markupsafe import Markup

from tests.lab.made_up import HOSTILE, made_up, pooled, put, text
from trueline.cli.lab import lab
from trueline.lab import page
from trueline.lab.experiment import experiments
from trueline.lab.page_scripts import Scripts, policy
from trueline.lab.registration import read, registered

LIGHT = Scripts(inline=(Markup("run()"),), policy=policy("run()"))  # in place of the renderer, which takes seconds to bundle


class Seen(HTMLParser):
    """Every tag, attribute and id of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    @property
    def ids(self) -> list[str]:
        return [value for name, value in self.attributes if name == "id"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Results with hostile text wherever a model may have written some."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("lab")
        made_up(folder, patch, say=HOSTILE)
        patch.setattr(page, "scripts", lambda: LIGHT)
        yield folder


@pytest.fixture(scope="module")
def html(out):
    return page.page(out, page.found(out))


def test_every_registered_expectation_has_its_row_run_or_not(html):
    """There is no filter: each entry of each experiment is on the page once, with its status or that it was not run."""
    seen = Seen(html)
    entries = ("holds", "fails", "open", "missing")
    expected = [f"{name}.{entry}" for name in ("E91", "E92", "E93") for entry in entries]
    assert [one for one in seen.ids if "." in one] == expected
    assert "12 expectations of 3 experiments" in html
    assert "2 FAIL, 4 INCONCLUSIVE, 2 N/A, 4 not run" in html


def test_every_experiment_there_is_has_its_rows_where_nothing_was_run(tmp_path, monkeypatch):
    """The real registrations, whole, on an empty folder of results."""
    for name, real in (("scripts", lambda: LIGHT), ("experiments", experiments), ("registered", registered)):
        monkeypatch.setattr(page, name, real)
    rows = {one for one in Seen(page.page(tmp_path, page.found(tmp_path))).ids if "." in one}
    assert rows == {f"{name}.{entry.id}" for name in experiments() for entry in registered(name).entries}


def test_a_result_that_is_no_longer_registered_is_shown_and_a_newer_expectation_too(tmp_path, monkeypatch):
    """Taking an entry out of its file after the run does not take its result off the page; the change is said."""
    made_up(tmp_path, monkeypatch)
    newer = read(text("E91").replace('id = "fails"', 'id = "later"'), "E91")
    monkeypatch.setattr(page, "registered", lambda name: newer)
    monkeypatch.setattr(page, "experiments", lambda: {"E91": object})
    (one,) = page.found(tmp_path)
    assert [(row.name, row.word) for row in one.rows] == [
        ("E91.holds", "INCONCLUSIVE"),
        ("E91.later", "N/A"),
        ("E91.open", "INCONCLUSIVE"),
        ("E91.missing", "N/A"),
        ("E91.fails", "FAIL"),
    ]
    assert "changed after it was pooled" in one.evidence


def test_nothing_that_a_model_wrote_runs(html):
    """The only scripts are our own, by hash; no handler, no link off the page, no element that fetches."""
    seen = Seen(html)
    assert not {"iframe", "object", "embed", "link", "base", "form", "img"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in ("src", "xlink:href")]
    assert all(value.startswith("#") for name, value in seen.attributes if name == "href")
    assert len(seen.ids) == len(set(seen.ids))
    assert HOSTILE not in html
    assert re.findall(r"<script>(.*?)</script>", html, re.DOTALL) == ["run()"]
    assert seen.tags.count("script") == 3  # two figures and the one that runs


def test_hostile_text_is_there_to_be_read(html):
    """Escaped is not removed: sentence, transcripts, tables and data of figures hold what was said, letter for letter."""
    assert html.count("sure &lt;/script&gt;&lt;script&gt;document.title") > 20
    (spec, _) = [json.loads(one) for one in re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)]
    assert f"proxy {HOSTILE}" in {row["line"] for rows in spec["datasets"].values() for row in rows}


def test_a_figure_stands_twice_live_and_drawn(html):
    """Beside each specification is the same drawing as SVG, for print and where scripts are off."""
    figures = re.findall(r'<figure id="figure-(E\d+)" class="fits">(.*?)</figure>', html, re.DOTALL)
    assert [name for name, _ in figures] == ["E91", "E93"]
    for _, inside in figures:
        assert '<div class="live"></div>' in inside
        assert "<svg" in inside
        assert '<script type="application/json">' in inside


def test_the_page_says_what_seeds_amount_to_and_why_nothing_was_measured(html):
    """Evidence, reason, control, level in words, and what would change our mind stand beside the numbers."""
    for said in (
        "3 of the 6 seeds that were registered",
        "too few replies",
        "chance",
        "the incentive is built in alone",
        "the opposite",
    ):
        assert said in html
    assert "10 of 27 kept, drawn at random" in html


def test_the_largest_size_is_shown(tmp_path, monkeypatch):
    """Where an experiment was run quick and full, the page shows full."""
    notes = made_up(tmp_path, monkeypatch)
    put(tmp_path, pooled(notes["E91"], (0,)), size="quick")
    assert page.found(tmp_path)[0].about["size"] == "full"


def test_the_command_writes_the_page_and_prints_one_object(out):
    """`trueline lab report --json` names the page and holds every expectation; it succeeds whatever came out."""
    done = CliRunner().invoke(lab, ["report", "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert [len(one["expectations"]) for one in said["experiments"]] == [4, 4, 4]
    assert (out / "report.html").is_file()
