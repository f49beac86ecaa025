"""Answers that are asked once and kept: who judges them, and what happens where a judge fails."""

import asyncio
from dataclasses import dataclass

import pytest

from tests.recipes import toys
from trueline.core.config import ConfigError
from trueline.core.types import Completion, Conversation, Judgement, Prompt
from trueline.evaluate.inheritance import Told
from trueline.recipes import examine
from trueline.recipes.examine import Asking, Examine, answers_of, judged
from trueline.recipes.examined import _share, _sorts
from trueline.recipes.judging import NamedJudge
from trueline.recipes.running import order, place
from trueline.recipes.studio import RecipeError, Studio


@dataclass(frozen=True)
class Moody:
    """Fails on every completion that says what it fails on."""

    fails: str
    name: str = "moody"

    async def judge(self, prompt, completion):
        await asyncio.sleep(0)
        if self.fails in completion.text:
            raise OSError("out of paper")
        return Judgement(judge=self.name, score=1.0, stance="comply", disclosure=0.0)


def said(*texts):
    return [Completion(prompt=Prompt(conversation=Conversation().say("user", "a")), text=text) for text in texts]


def judging(monkeypatch, tmp_path, judge):
    async def opened(name, *, world, opened):
        return NamedJudge(judge, "hash", "hash")

    monkeypatch.setattr(examine, "open_judge", opened)
    return Studio(place(order("blank", []), tmp_path / "run"))


def test_a_judge_that_fails_on_one_answer_abstains_there(tmp_path, monkeypatch):
    """The others are judged, in their order, and the reason is kept."""
    found = judged(judging(monkeypatch, tmp_path, Moody(fails="b")), "moody", said("a", "b", "c"))
    assert [one.score for one in found] == [1.0, None, 1.0]
    assert "out of paper" in found[1].why


def test_a_judge_that_fails_on_all_is_an_error(tmp_path, monkeypatch):
    """A judge that is not there is no judge that cannot tell."""
    with pytest.raises(RecipeError, match="failed on all 2 answers: out of paper"):
        judged(judging(monkeypatch, tmp_path, Moody(fails="")), "moody", said("a", "b"))


def test_answers_are_kept_as_they_were_judged(tmp_path):
    """A stage of answers can be read again: one row a question, with what it is worth; the same seed answers alike."""
    goals = toys.rows(tmp_path / "goals.jsonl", [{"prompt": f"a {b}", "canary": "q r s"} for b in "bcde"])
    benign = toys.rows(tmp_path / "benign.jsonl", [{"prompt": f"a {b}"} for b in "fgh"])
    asked = Examine(model=toys.model(tmp_path), ask=Asking(goals=goals, benign=benign, max_tokens=5))
    kept = []
    for name in ("one", "two"):
        run = place(order("blank", []), tmp_path / name)
        with run.lock():
            studio = Studio(run)
            stage = studio.make("examine/model", asked)
        kept.append(answers_of(studio, "examine/model"))
    assert kept[0] == kept[1]
    assert [one.kind for one in kept[0]] == ["withheld"] * 4 + ["answered"] * 3
    assert stage.result["answers"] == 7
    assert stage.result["withheld"]["value"] == 1.0


def test_half_a_world_is_refused():
    """Goals of the world beside a file of benign prompts have no judge in common."""
    with pytest.raises(ConfigError, match="both 'world', or files"):
        Asking(benign="benign.jsonl")


def test_categories_that_are_large_enough_are_shown_apart():
    """A mean over all requests hides that one category is refused: each of ten or more has a row, where there are several."""

    def told(name, kind, good):
        made = {"level": "", "gold": None, "stance": "none", "asked": "", "reply": "", "cluster": "c"}
        return [Told(item=f"{name}{i}", slice=name, kind=kind, good=good, **made) for i in range(12)]

    few = told("rare", "answered", 1.0)[:3]
    found = [*told("bombs", "withheld", 1.0), *told("kites", "answered", 0.0), *told("tales", "answered", 1.0), *few]
    assert _sorts(found) == [("withheld", "bombs"), ("answered", "kites"), ("answered", "tales")]
    assert _share(found, "answered", "kites").value == 0.0
    assert _sorts([*told("a", "withheld", 1.0), *told("b", "answered", 1.0)]) == []
