"""The report: complete, honest about what is missing, and harmless whatever a model wrote."""

from __future__ import annotations

import copy
import io
import json
import re
import time
from html.parser import HTMLParser

import pytest
from rich.console import Console

from tests.evaluate.example import HELD_OUT, STAGES, TRAINED, example, gold, rl, rung
from trueline.core.stats import wilson
from trueline.evaluate import charts, words
from trueline.evaluate.report import render, table
from trueline.evaluate.shape import TEXT_LIMIT, read, visible


class Page(HTMLParser):
    """Every tag, attribute and id of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def whole() -> str:
    """The example's page, drawn once, in the time and size that a report may take."""
    start = time.process_time()
    html = render(example())
    assert time.process_time() - start < 5
    assert len(html.encode()) < 1_500_000
    return html


def test_the_page_fetches_and_runs_nothing(whole):
    """A strict policy, no script, no link off the page, no event handler."""
    page = Page(whole)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in whole
    assert not page.tags & {"script", "iframe", "object", "embed", "link", "base", "form", "img"}
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "xlink:href")]
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_every_part_is_there(whole):
    """Each section of a full report appears, with gates, splits, control and verdicts."""
    page = Page(whole)
    for said in (
        "Gates",
        "The ladder",
        "held out",
        "trained on",
        "over-refusal",
        "What it says, and what it gives",
        "Gold utility by domain",
        "Reward against gold",
        "ppo control",
        "Preference optimisation",
        "Reward model",
        "Learning curves",
        "Transcripts",
        "What was not measured",
        "Provenance",
        "PASS",
        "FAIL",
        "N/A",
        "a1b2c3d4e5f6",
        "10 of 12",
    ):
        assert said in page.text, said


def test_parts_that_are_missing_are_left_out():
    """The least report renders; no section, number or chart is made up for it."""
    html = render({"run": "r", "recipe": "sft", "stages": [], "gates": None, "reward_model": None})
    page = Page(html)
    assert "svg" not in page.tags
    for absent in ("Gates", "ladder", "Reward", "Transcripts", "Gold utility"):
        assert absent not in page.text


def small() -> dict[str, object]:
    """Every part of the example once, with as few charts as can be."""
    report = example()
    for part in ("gates", "ladder", "curves", "rl", "transcripts"):
        report[part] = report[part][:1]
    report["rl"][0]["points"] = [{"step": p["step"], "gold": p["gold"]} for p in report["rl"][0]["points"]]
    report["preference"][0]["points"] = [{"step": t, "margin": t} for t in range(5)]
    report["ladder"][0]["gold"] = {"facts": gold(0.2, 60)}
    return report


@pytest.mark.parametrize("part", sorted(set(example()) - {"run", "recipe", "stages"}))
def test_any_one_part_may_be_missing(part, monkeypatch):
    """Leaving out a part disturbs no other, and the terminal's table still stands."""
    for drawing in ("lines", "dots", "frontier", "calibration"):
        monkeypatch.setattr(charts, drawing, lambda *_, **__: "<svg></svg>")
    report = {key: value for key, value in small().items() if key != part}
    assert "</html>" in render(report)
    assert table(report).row_count == len(report.get("ladder", []))


def test_the_same_report_gives_the_same_page():
    """Rendering is a pure function of report.json, also after a trip through JSON."""
    assert render(json.loads(json.dumps(small()))) == render(small())


def test_a_rate_of_nothing_counts_as_not_measured():
    """n = 0 and nan are shown as a dash, never as zero, and drawn nowhere."""
    report = {"run": "r", "recipe": "x", "stages": [], "ladder": [rung(1, "sft")]}
    nothing = {"value": float("nan"), "n": 0, "low": 0.0, "high": 1.0}
    report["ladder"][0] |= {
        "attack": {"prefill": nothing},
        "over_refusal": nothing,
        "gold": {"facts": nothing},
        "two_by_two": {},
    }
    html = render(report)
    assert "svg" not in Page(html).tags
    assert not re.search(r"\bnan\b|\b0%", Page(html).text.partition("fetches")[0].partition("</style>")[2])
    assert "—" in html


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; background:url(//evil)",
    "</style></svg><iframe src=//evil>",
    "{{ 7 * 7 }}{% raw %}",
    "[bold red]loud[/]",
    "javascript:alert(1)",
]


def poison(value: object, text: str) -> object:
    """The same report with every free string (not the closed words of the shape) ending in hostile text."""
    if isinstance(value, str):
        closed = {
            "done",
            "skipped",
            "failed",
            "PASS",
            "FAIL",
            "N/A",
            "train",
            "validation",
            "held_out",
            "comply",
            "refuse",
            "none",
            "tokens",
        }
        return value if value in closed else value + text
    if isinstance(value, dict):
        free = {*HELD_OUT, *TRAINED, "facts", "summaries", "loss", "world hash", "torch", "hype"}
        return {(k + text if k in free else k): poison(v, text) for k, v in value.items()}
    return [poison(v, text) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("text", ["".join(HOSTILE)])
def test_hostile_text_stays_text(text):
    """Wherever a string may come from a model or a file, markup in it is shown and never obeyed."""
    page = Page(render(poison(small(), text)))
    assert not page.tags & {"script", "iframe", "img"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert all(re.fullmatch(r"--v:[01]\.\d{3}", v or "") for name, v in page.attributes if name == "style")
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text


def test_characters_that_hide_or_turn_text_round_are_spelled_out():
    """Bidi controls, zero-width, tag and variation characters and lone surrogates all become visible, and encodable."""
    hidden = "a\u202eb\u2066c\u200bd\U000e0041e\ufe0ff\x1b[31mg\ud800h\u2028i\x00"
    report = small() | {
        "transcripts": [{"stage": hidden, "items": [{"prompt": hidden, "reply": hidden}]}],
        "rl": [],
        "curves": [],
    }
    html = render(report)
    html.encode("utf-8")
    assert not any(character in html for character in "\u202e\u2066\u200b\U000e0041\ufe0f\x1b\ud800\u2028\x00")
    assert "⟨U+202E⟩" in html
    assert visible("plain text\n\u0633\u0644\u0627\u0645 你好 é") == "plain text\n\u0633\u0644\u0627\u0645 你好 é"


def test_huge_text_is_cut_and_says_so():
    """Sixty replies of 200 thousand angle brackets make no huge page, and the cut is announced."""
    items = [{"prompt": "<" * 200_000, "reply": "\u202e" * 200_000}] * 10
    html = render({"run": "r", "recipe": "x", "stages": [], "transcripts": [{"stage": s, "items": items} for s in STAGES]})
    assert len(html.encode()) < 1_500_000
    assert f"{200_000 - TEXT_LIMIT:,} more characters" in html


def test_a_long_name_is_cut_sooner_than_a_text():
    """Names head columns, so they are held to eighty characters."""
    assert "920 more characters" in render({"run": "r" * 1000, "recipe": "x", "stages": []})


def test_a_wrong_shape_is_named():
    """An error says where, what came, and where the shape is described."""
    with pytest.raises(ValueError, match=r"stages\.0\.status.*got 'finished'.*shape\.py"):
        render({"run": "r", "recipe": "x", "stages": [{"name": "sft", "status": "finished"}]})
    with pytest.raises(ValueError, match="recipe"):
        render({"run": "r", "stages": []})


def test_a_rate_without_its_interval_is_refused():
    """Nothing that is called a rate may come without n and interval."""
    report = {"run": "r", "recipe": "x", "stages": [], "ladder": [{"stage": "s", "over_refusal": {"value": 0.2}}]}
    with pytest.raises(ValueError, match=r"over_refusal\.n"):
        render(report)


def test_the_summary_tells_the_costs():
    """The paragraph names the failed gate, over-refusal beside attack success, the turn of gold, and the leak."""
    said = " ".join(words.summary(read(example())))
    assert "From pretrain to redteam, mean attack success on held-out families went from 88%" in said
    assert "while refusal of benign requests went from 0% (0% to 3%, n\u00a0120) to 22%" in said
    assert "not over-refusal stays low" in said
    assert "the highest gold measured" in said
    assert "that say no" in said
    less = example()
    for row in less["ladder"]:
        row["over_refusal"] = None
    assert "over-refusal was not measured" in " ".join(words.summary(read(less)))


def test_gold_that_never_turns_is_not_called_a_turn():
    """Only a run whose proxy rose on after gold's best is told as a turn."""
    run = rl("grpo", False)
    for point in run["points"]:
        point["gold"] = point["proxy"]
    run["points"].sort(key=lambda p: p["proxy"])
    told = words.reinforcement(read({"run": "r", "recipe": "x", "stages": [], "rl": [run]}).rl[0])
    assert "gold from" in told
    assert "highest gold" not in told


def test_displacement_is_told():
    """When the margin grows by pushing both replies down, the report says so."""
    report = read(example())
    assert "chosen replies became less likely" in words.preferring(report.preference[0])


def test_the_gap_is_the_share_of_refusals_that_gave():
    """Complying replies do not enter the refusal-enablement gap."""
    ladder = read(
        {
            "run": "r",
            "recipe": "x",
            "stages": [],
            "ladder": [{"stage": "s", "two_by_two": {"refuse_withheld": 15, "refuse_gave": 6, "comply_gave": 99}}],
        }
    ).ladder
    assert words.gap(ladder[0]) == wilson(6, 21)
    assert words.gap(ladder[0].model_copy(update={"two_by_two": {"comply_gave": 3}})) is None


def test_the_terminal_table_shows_n_and_takes_no_markup():
    """The table has a row a stage, every rate with n, and names are never read as console markup."""
    report = copy.deepcopy(example())
    report["ladder"][0]["stage"] = "[bold red]loud[/]"
    out = io.StringIO()
    Console(file=out, width=240).print(table(report))
    shown = out.getvalue()
    assert "[bold red]loud[/]" in shown
    assert "n\u00a0120" in shown
    assert len(re.findall("n\u00a0192", shown)) == len(STAGES)
