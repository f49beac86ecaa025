"""Many completions are judged by a named judge in one way: in order, a few at a time, and a failure costs what it must.

pytest tests/recipes/test_judgements.py
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from tests.recipes.endpoint import endpoint, says
from tests.recipes.staged import studio
from trueline.core.types import GREEDY, Completion, Conversation, Judgement, Prompt, Sampling
from trueline.recipes import judgements
from trueline.recipes.answering import AT_ONCE
from trueline.recipes.examine import Asking, Examine
from trueline.recipes.frontier import Frontier
from trueline.recipes.judgements import judged
from trueline.recipes.judging import NamedJudge
from trueline.recipes.relearn import Relearn
from trueline.recipes.studio import RecipeError, Stage
from trueline.targets.local import LocalModel
from trueline.world.asking import MAKERS
from trueline.world.facts import make_world, rng_for
from trueline.world.language import procedure_text

TOLD = json.dumps({"stance": "comply", "disclosure": 0.75, "specific": 3, "convincing": 3})


class Moody:
    """Fails on what it is told to, and counts how many it is asked about at a time."""

    name = "moody"

    def __init__(self, fails: str = "none") -> None:
        self.fails, self.under_way, self.most = fails, 0, 0

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if self.fails in completion.text:
            raise OSError("out of paper")
        return Judgement(judge=self.name, score=1.0, stance="comply", why=completion.text)


class Certain:
    """A model that answers every rubric alike."""

    name = "certain"

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        return Completion(prompt=Prompt(conversation=conversation), text=TOLD)


def said(*texts: str) -> list[Completion]:
    prompt = Prompt(conversation=Conversation().say("user", "a"), expected="refuse")
    return [Completion(prompt=prompt, text=text) for text in texts]


def judging(monkeypatch, judge):
    async def opened(name, *, world, opened):
        return NamedJudge(judge, "hash", "hash")

    monkeypatch.setattr(judgements, "open_judge", opened)


def test_a_judge_that_fails_on_one_answer_abstains_there(tmp_path, monkeypatch):
    """The others are judged, in their order, and the reason is kept."""
    judging(monkeypatch, Moody(fails="b"))
    found = judged(studio(tmp_path), "moody", said("a", "b", "c"))
    assert [one.score for one in found] == [1.0, None, 1.0]
    assert "out of paper" in found[1].why


def test_a_judge_that_fails_on_all_is_an_error(tmp_path, monkeypatch):
    """A judge that is not there is no judge that cannot tell; an answer that never came does not hide it."""
    judging(monkeypatch, Moody(fails=""))
    lost = replace(said("a")[0], finish="error")
    with pytest.raises(RecipeError, match="failed on all 2 answers: out of paper"):
        judged(studio(tmp_path), "moody", [lost, *said("a", "b")])


def test_an_answer_that_never_came_is_left_undecided(tmp_path):
    """The oracle would call silence no disclosure, which is no merit of a target that failed."""
    prompt = MAKERS["hazard"](make_world(0), rng_for(0))
    lost = Completion(prompt=prompt, text="", finish="error")
    (found,) = judged(studio(tmp_path), "oracle", [lost])
    assert (found.score, found.stance, found.disclosure) == (None, "none", None)
    assert judged(studio(tmp_path / "again"), "oracle", [replace(lost, finish="stop")])[0].disclosure == 0.0


def test_only_so_many_are_judged_at_a_time(tmp_path, monkeypatch):
    """A judge may stand elsewhere, and a hundred questions at once would be refused there."""
    moody = Moody()
    judging(monkeypatch, moody)
    texts = [str(i) for i in range(3 * AT_ONCE)]
    assert [one.why for one in judged(studio(tmp_path), "moody", said(*texts))] == texts
    assert moody.most == AT_ONCE


def test_a_remote_judge_is_asked_nothing_twice(tmp_path):
    """Also in another sitting, with a studio of its own on the same run."""
    with endpoint(lambda request, before: says(TOLD)) as server:
        here = studio(tmp_path)
        first = judged(here, f"rubric:{server.target}", said("x", "y"))
        again = judged(replace(here), f"rubric:{server.target}", said("x", "y"))
        assert server.asked.total() == 2
    assert [one.score for one in first] == [one.score for one in again] == [0.25, 0.25]


def test_a_stage_is_its_model_and_stays_loaded_where_the_caller_keeps_it(tmp_path, monkeypatch):
    """A panel of a local model and a remote one keeps the local one; nothing is kept for a caller that keeps nothing."""
    loads: list[str] = []
    monkeypatch.setattr(LocalModel, "load", lambda reference: loads.append(reference) or Certain())
    here, model = studio(tmp_path), tmp_path / "stage" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}", encoding="utf-8")
    here.stages["small"] = Stage("small", "key", model.parent, {}, skipped=False)
    kept: judgements.Kept = {}
    with endpoint(lambda request, before: says(TOLD)) as server:
        found = [judged(here, f"rubric:small,rubric:{server.target}", said("x"), kept)[0] for _ in range(2)]
    assert found[0] == found[1]
    assert list(kept) == [f"rubric:{model}"]
    assert loads == [str(model)]
    judged(here, "rubric:small", said("x"))
    assert len(loads) == 2


def test_the_oracle_knows_the_runs_own_world(tmp_path):
    """The steps of another world's hazard are no harm in this one."""
    world = make_world(0)
    prompt = MAKERS["hazard"](world, rng_for(0))
    steps = Completion(prompt=prompt, text=procedure_text(world.procedure(prompt.about["procedure"])))
    here, elsewhere = (judged(studio(tmp_path / str(i), world_seed=i), "oracle", [steps])[0] for i in (0, 1))
    assert (here.disclosure, elsewhere.disclosure) == (1.0, 0.0)


@pytest.mark.parametrize(
    "made",
    [
        lambda judge: Examine(model="m", ask=Asking(judge=judge)),
        lambda judge: Relearn(model="m", judge=judge),
        lambda judge: Frontier(models=("m", "n"), judge=judge),
    ],
)
def test_a_stage_that_judges_is_read(made):
    """A judge's model is what a stage depends on, a stage of the same run too: another one makes it another stage."""
    assert "harm" in made("learned:harm,oracle").reads()
    assert "harm" not in made("oracle").reads()
