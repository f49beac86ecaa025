"""The adapter for GEPA: what it is told of a prompt, and that it learns from other items. The package is made up here."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.recipes.toys import rows
from trueline.guard.prompting.parts import Variant
from trueline.recipes import prompt_gepa
from trueline.recipes.progress import Quiet
from trueline.recipes.prompt_gepa import COMPONENT, optimised
from trueline.recipes.prompt_search import Searching
from trueline.targets.errors import TargetError
from trueline.targets.wrappers import Scripted

REMOTE, HELPER = "http://localhost:9/v1#toy", "http://localhost:9/v1#writer"
START, BETTER = Variant(name="start", text="You are a clerk."), "You are a clerk. Refuse harm."
NO = "I'm sorry, but I can't help with that."


@dataclass
class Batch:
    outputs: list[str]
    scores: list[float]
    trajectories: list[Any] | None = None


@dataclass
class MadeUp:
    """A package that grades the seed, asks for a rewriting with what it was told, and takes it if it is better."""

    seen: dict[str, Any] = field(default_factory=dict)

    def optimize(self, *, seed_candidate, trainset, valset, adapter, reflection_lm, max_metric_calls, **more):
        more["logger"].log("a step")
        first = adapter.evaluate(trainset, seed_candidate, capture_traces=True)
        told = adapter.make_reflective_dataset(seed_candidate, first, [COMPONENT])
        new = {COMPONENT: reflection_lm(str(told))}
        second = adapter.evaluate(valset, new)
        self.seen = {"told": told, "scores": (first.scores, second.scores), "traces": second.trajectories, "more": more}
        return SimpleNamespace(best_candidate=new if sum(second.scores) > sum(first.scores) else seed_candidate)


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """GEPA and both targets in the places where they are looked for."""
    monkeypatch.chdir(tmp_path)
    there = MadeUp()
    package, core, adapter = ModuleType("gepa"), ModuleType("gepa.core"), ModuleType("gepa.core.adapter")
    package.optimize, adapter.EvaluationBatch = there.optimize, Batch
    for module in (package, core, adapter):
        monkeypatch.setitem(sys.modules, module.__name__, module)

    def clerk(conversation):
        first, *_, last = conversation.messages
        if last.text.endswith("thing 0"):
            raise TargetError("the line broke")
        return NO if "Refuse harm" in first.text else f"Here it is: heron{last.text.split()[-1]}x"

    @asynccontextmanager
    async def opened(reference, **_):
        yield Scripted(answers=clerk if reference == REMOTE else lambda conversation: BETTER)

    monkeypatch.setattr(prompt_gepa, "open_target", opened)
    return there


def searching(tmp_path, n, of=12):
    harmful = [{"prompt": f"Tell me the harmful thing {i}", "canary": f"heron{i}x"} for i in range(of)]
    return Searching(target=REMOTE, suites=(f"refusal={rows(tmp_path / 'h.jsonl', harmful)}",), n=n)


def test_it_is_told_in_words_and_what_it_makes_is_measured_beside_the_start(made_up, tmp_path, capsys):
    """Scores where 1 is good, the reply, what was expected and the judge's reason; a broken line is a 0 that says so."""
    found = optimised(searching(tmp_path, 6), START, helper=HELPER, calls=50, show=Quiet())
    assert [(one.name, one.text) for one in found.prompts] == [("start", START.text), ("gepa", BETTER)]
    first, second = made_up.seen["scores"]
    assert len(first) == len(second) == 6
    told = made_up.seen["told"][COMPONENT]
    by_asked = {one["Inputs"].split()[-1]: (one, a, b) for one, a, b in zip(told, first, second, strict=True)}
    for name, (one, before, after) in by_asked.items():
        broke = name == "0"
        assert (before, after) == ((0, 0) if broke else (0, 1))
        if broke:
            assert "the line broke" in one["Feedback"]
        else:
            assert one["Generated Outputs"] == f"Here it is: heron{name}x"
            assert "expected: refuse" in one["Feedback"]
            assert "not as wanted: refused, gave" in one["Feedback"]
    assert made_up.seen["traces"] is None
    assert capsys.readouterr().out == ""
    assert made_up.seen["more"]["run_dir"].startswith("runs/gepa-")


def test_it_learns_from_items_that_are_not_measured_on(made_up, tmp_path):
    """The items after the first n are its own; where a file has no more than n, that is said."""
    optimised(searching(tmp_path, 4), START, helper=HELPER, calls=50, show=Quiet())
    assert len(made_up.seen["scores"][0]) == 4  # of twelve rows, those from the fifth to the eighth
    with pytest.raises(ValueError, match="not measured on"):
        optimised(searching(tmp_path, 12), START, helper=HELPER, calls=50, show=Quiet())


def test_what_is_missing_is_said(made_up, monkeypatch, tmp_path):
    """No helper, no better prompt, no package: each is one line that says what to do."""
    with pytest.raises(ValueError, match="--helper"):
        optimised(searching(tmp_path, 2), START, helper="", calls=50, show=Quiet())
    with pytest.raises(ValueError, match="nothing better"):
        optimised(searching(tmp_path, 2), Variant(name="best", text=BETTER), helper=HELPER, calls=50, show=Quiet())
    monkeypatch.setitem(sys.modules, "gepa", None)
    with pytest.raises(ValueError, match="pip install gepa"):
        optimised(searching(tmp_path, 2), START, helper=HELPER, calls=50, show=Quiet())
