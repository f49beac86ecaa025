"""Evaluations from the outside: kept item by item, resumed without asking twice, reported, and compared from their folders."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import torch

from tests.calling import trueline
from tests.models.small import tiny_policy
from tests.recipes.toys import model, rows
from trueline.core.ports import BudgetSpentError
from trueline.core.stats import wilson
from trueline.core.types import Conversation
from trueline.data.rows import DataError
from trueline.evaluate.report import render
from trueline.judges.calibration import Figures, keep
from trueline.judges.enablement import Enablement
from trueline.recipes import interviewing
from trueline.recipes.comparing import compare
from trueline.recipes.evaluating import Evaluating, evaluate
from trueline.recipes.progress import Quiet
from trueline.recipes.weighing import ROWS, weigh_all, weigh_replies
from trueline.store.runs import open_run
from trueline.targets.errors import TargetError
from trueline.targets.wrappers import Scripted

REMOTE = "http://localhost:9/v1#toy"  # never reached: the target is put in its place
REFUSAL = "i cannot help with that ."
LETTERS = [
    {"id": f"q{i}", "question": " ".join("abcdef"[i % 6 :] + "gh"), "choices": ["a", "b"], "answer": i % 2} for i in range(8)
]


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """A target in the place of whatever a TARGET names; `toy.answers` may be changed between two runs."""
    monkeypatch.chdir(tmp_path)
    there = type("Toy", (), {"answers": staticmethod(lambda conversation: REFUSAL), "opened": []})()

    @asynccontextmanager
    async def opened(reference, **_):
        target = Scripted(answers=there.answers, name=reference)
        there.opened.append(target)
        yield target

    monkeypatch.setattr(interviewing, "open_target", opened)
    return there


def run(*suites: str, n: int = 10, **settings):
    settings.setdefault("target", REMOTE)
    return evaluate(Evaluating(suites=suites, **settings), n=n, show=Quiet())


def test_an_evaluation_is_stored(toy):
    """A run folder with what was asked, a line an item, and a report in the house's shape that the page can be made of."""
    folder, found = run("refusal", "over_refusal")
    assert folder.parent.name == "runs"
    assert folder.name.startswith("eval-")
    assert open_run(folder).run.recipe == "eval"
    lines = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    assert len(lines) == 20
    assert lines[0].keys() >= {"suite", "item", "cluster", "values", "outcome", "stance", "disclosure", "completion"}
    report = json.loads((folder / "report.json").read_text())
    assert report["stages"][0]["metrics"]["refused"] == {"value": 1.0, "n": 10, "low": wilson(10, 10).low, "high": 1.0}
    assert report["suites"]["over_refusal"]["metrics"]["over_refused"]["rate"]["value"] == 1.0
    assert report["verdict"] == found["verdict"] == "holds"
    assert "over_refused" in render(report)
    assert "over_refused" in (folder / "report.html").read_text()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BudgetSpentError("spent")])
def test_what_was_cut_off_goes_on_and_asks_nothing_twice(toy, error):
    """Cut off after seven answers, with half a line at the end of the file: the second sitting asks what is left."""
    asked: list[Conversation] = []

    def cut_off(conversation):
        if len(asked) == 7:
            raise error
        asked.append(conversation)
        return REFUSAL

    toy.answers = cut_off
    with pytest.raises(type(error)):
        run("refusal")
    (folder,) = Path("runs").iterdir()
    kept = (folder / "items.jsonl").read_text().splitlines()
    assert 0 < len(kept) <= 7
    with (folder / "items.jsonl").open("a") as handle:
        handle.write('{"suite": "refus')
    again: list[Conversation] = []
    toy.answers = lambda conversation: again.append(conversation) or REFUSAL
    folder_, found = run("refusal")
    assert folder_ == folder
    answered = [json.loads(line)["conversation"]["messages"][-1]["text"] for line in kept]
    assert len(again) == 10 - len(kept)
    assert {c.messages[-1].text for c in again}.isdisjoint(answered)
    assert found["suites"]["refusal"]["items"] == 10


def test_a_finished_evaluation_asks_nothing(toy):
    """The same command again opens no target, and its numbers are the same; more items ask for those alone."""
    _, first = run("refusal", n=6)
    opened = len(toy.opened)
    _, again = run("refusal", n=6)
    assert len(toy.opened) == opened
    assert again["suites"] == first["suites"]
    folder, more = run("refusal", n=9)
    assert len(toy.opened[-1].asked) == 3
    assert more["suites"]["refusal"]["items"] == 9
    assert len(list(folder.parent.iterdir())) == 1


def test_errors_are_asked_again(toy):
    """One failing item ends nothing and is counted; the next sitting asks it alone."""
    broken = []

    def fails_once(conversation):
        if not broken:
            broken.append(conversation)
            raise TargetError("the line broke")
        return REFUSAL

    toy.answers = fails_once
    _, found = run("refusal")
    assert (found["suites"]["refusal"]["errors"], found["verdict"]) == (1, "holds")
    assert found["suites"]["refusal"]["first_error"] == "TargetError: the line broke"
    _, found = run("refusal")
    assert toy.opened[-1].asked == broken
    assert found["suites"]["refusal"]["errors"] == 0


def test_what_is_asked_names_the_folder(toy, tmp_path):
    """Another seed, judge or file is another evaluation; so is a file whose content has changed."""
    file = rows(tmp_path / "some.jsonl", [{"prompt": "How do I paint a gate?"}])
    settings = ({}, {"seed": 1}, {"judge": "refusal"}, {"data": file}, {"temperature": 1.0}, {"world_seed": 1})
    folders = {run("refusal", n=2, **setting)[0] for setting in settings}
    rows(tmp_path / "some.jsonl", [{"prompt": "How do I paint a fence?"}])
    assert len(folders | {run("refusal", n=2, data=file)[0]}) == 7


def test_rows_of_a_file_are_chosen_by_seed_and_category(toy, tmp_path):
    """Fewer rows begin more, in an order that the seed draws; a category keeps its own rows; an unknown one is named."""
    file = rows(tmp_path / "m.jsonl", [{**row, "category": "ab"[i % 2]} for i, row in enumerate(LETTERS)])

    def asked(n, **settings):
        folder, _ = run("capability", n=n, data=file, **settings)
        return [json.loads(line)["item"].split("@")[0] for line in (folder / "items.jsonl").read_text().splitlines()]

    three = asked(3)
    assert asked(8)[:3] == three
    assert asked(3, seed=1) != three
    assert {int(name[1:]) % 2 for name in asked(8, category="b")} == {1}
    with pytest.raises(DataError, match="no row has a category with 'c' in it"):
        run("capability", data=file, category="c")


def test_a_measured_judge_corrects_its_rates(toy, tmp_path):
    """Figures that `trueline judge calibrate` kept for this judge and task stand beside the raw rate."""
    figures = Figures(
        judge="enablement", task="refusal", source="f", rows=200, abstained=0, found=90, missed=10, cleared=100, accused=0,
        accuracy=wilson(190, 200), sensitivity=wilson(90, 100), specificity=wilson(100, 100),
    )  # fmt: skip
    keep(tmp_path / "runs", Enablement(), figures)
    file = rows(tmp_path / "some.jsonl", [{"prompt": f"How do I paint gate number {i}?"} for i in range(10)])
    toy.answers = lambda c: "I can't help with that." if c.messages[-1].text[-2] in "0123" else "Just use a brush."
    _, found = run("refusal", data=file)
    metrics = found["suites"]["refusal"]["metrics"]
    assert metrics["refused"]["rate"]["value"] == 0.4
    assert metrics["refused"]["corrected"]["value"] == pytest.approx(0.4 / 0.9)
    assert metrics["gave"]["corrected"] is None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"suites": ("refusals",)}, "did you mean 'refusal'"),
        ({"suites": (), "data": "x.jsonl"}, "expected --suite with a file"),
        ({"suites": ("refusal",), "category": "x"}, "together with --data"),
    ],
)
def test_what_cannot_be_asked_is_refused(settings, reason):
    """Before anything is opened."""
    with pytest.raises(ValueError, match=reason):
        Evaluating(target=REMOTE, **settings)


def test_replies_are_weighed_by_their_tokens():
    """The log-probability of a reply is the sum over its tokens, its end left out, in any company of others."""
    policy, asked = tiny_policy(), Conversation().say("user", "a b c")
    head, said = policy.codec.prompt(asked), policy.codec.ids("a b")
    with torch.no_grad():
        logp = policy.logits(torch.tensor([[*head, *said]]))[0].log_softmax(-1)
    expected = sum(float(logp[len(head) - 1 + place, token]) for place, token in enumerate(said))
    found = weigh_replies(policy, asked, ("a b", *("c d e" for _ in range(ROWS)), "a b"))
    assert found[0] == pytest.approx(expected, abs=1e-4)
    assert found[-1] == pytest.approx(expected, abs=1e-4)
    assert len(found) == ROWS + 2
    other = Conversation().say("user", "e f g h i j")
    both = weigh_all(policy, [(other, ("b", "c d")), (asked, ("a b",))])
    assert [len(each) for each in both] == [2, 1]
    assert (*both[0], *both[1]) == pytest.approx((*weigh_replies(policy, other, ("b", "c d")), expected), abs=1e-4)
    with pytest.raises(ValueError, match="exceeds the model's context of 128"):
        weigh_replies(policy, Conversation().say("user", " ".join("a" * 200)), ("a",))


def test_the_command_line_evaluates_and_compares(tmp_path, monkeypatch):
    """A model folder on a file of choices: exit codes, JSON in the house's shape, and the comparison of a run with itself."""
    monkeypatch.chdir(tmp_path)
    file, folder = rows(tmp_path / "m.jsonl", LETTERS), model(tmp_path)
    done = trueline("eval", folder, "--suite", "capability,calibration", "--data", file, "--json", "--threads", 1)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    correct = found["suites"]["capability"]["metrics"]["correct"]["rate"]
    assert correct.keys() == {"value", "n", "low", "high"}
    assert correct["n"] == 8
    assert sum(inside["n"] for inside in found["suites"]["calibration"]["bins"]) == 8
    table = trueline("eval", folder, "--suite", "capability,calibration", "--data", file, "--threads", 1)
    assert (table.code, "brier" in table.out) == (0, True)
    same = trueline("compare", found["folder"], found["folder"], "--json")
    told = json.loads(same.out)
    assert (same.code, told["verdict"]) == (3, "cannot_tell")
    assert set(told["metrics"]) == {"capability/correct", "calibration/brier", "calibration/correct"}
    assert told["metrics"]["capability/correct"]["difference"]["value"] == 0.0
    assert "independent items (8 here)" in trueline("compare", found["folder"], found["folder"]).out
    assert trueline("eval", folder, "--suite", "refuse").code == 2
    assert trueline("compare", tmp_path, found["folder"]).code == 2


def test_two_evaluations_are_compared_item_by_item(toy):
    """One that refuses everything before one that refuses nothing: worse in one suite, better in the other."""
    first, _ = run("refusal", "over_refusal", n=30, target=REMOTE)
    toy.answers = lambda conversation: "it is red ."
    second, _ = run("refusal", "over_refusal", n=30, target=REMOTE + "2")
    found = compare(first, second)
    verdicts = {name: one["verdict"] for name, one in found["metrics"].items()}
    assert verdicts == {"refusal/refused": "worse", "refusal/gave": "cannot_tell", "over_refusal/over_refused": "not_worse"}
    assert (found["verdict"], found["differs"]) == ("worse", [])
    assert compare(second, first)["metrics"]["refusal/refused"]["verdict"] == "not_worse"
    third, _ = run("refusal", "over_refusal", n=20, target=REMOTE + "2", judge="refusal", temperature=1.0)
    with pytest.raises(ValueError, match="judged by another judge"):
        compare(first, third)
    anyway = compare(first, third, anyway=True)
    assert anyway["metrics"]["refusal/refused"]["only_first"] == 10
    assert "temperature: 0.0 in the first, 1.0 in the second" in anyway["differs"]


def test_nobody_is_asked_in_the_worlds_tongue_unawares():
    """Only a model of a run is; for any other target what is asked must be named."""
    done = trueline("eval", "openai:some-model", "--suite", "refusal")
    assert done.code == 2
    assert "name what it is asked" in done.err
