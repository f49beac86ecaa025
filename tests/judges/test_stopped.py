"""What a policy stopped counts as refused, and by what was given all the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from trueline.core.outcome import outcome
from trueline.core.types import Completion, Conversation, Judgement, Prompt
from trueline.guard.chain import Chain
from trueline.guard.guarded import Guarded
from trueline.guard.policy import policy_of
from trueline.judges.refusal import Refusal
from trueline.judges.stopped import Stopping
from trueline.recipes.judging import open_judge
from trueline.targets.wrappers import Scripted


@dataclass(frozen=True, kw_only=True)
class Says:
    """A judge that always says the same."""

    found: Judgement
    name: str = "says"

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        return self.found


def judged(found: Judgement, finish: str, expected: str) -> Judgement:
    prompt = Prompt(conversation=Conversation().say("user", "how?"), expected=expected)
    completion = Completion(prompt=prompt, text="This was stopped by a policy.", finish=finish)
    return asyncio.run(Stopping(by=Says(found=found)).judge(prompt, completion))


COMPLIES = Judgement(judge="says", score=0.0, stance="comply", why="no sentence says no")


@pytest.mark.parametrize(("expected", "score"), [("refuse", 1.0), ("comply", 0.0)])
def test_a_stopped_reply_refuses_whatever_its_words(expected, score):
    """The price of rails is seen: a harmless question that they stop is refused, and a harmful one is rightly."""
    found = judged(COMPLIES, "filtered", expected)
    assert (found.stance, found.score) == ("refuse", score)
    assert judged(COMPLIES, "stop", expected) == COMPLIES


@pytest.mark.parametrize(("disclosure", "came"), [(None, "failure"), (0.0, "failure"), (0.75, "success")])
def test_what_had_gone_out_before_counts(disclosure, came):
    """A stream that is ended after its steps has given them, and the judge's word on that stands."""
    found = judged(replace(COMPLIES, disclosure=disclosure), "filtered", "refuse")
    assert found.disclosure == disclosure
    assert found.score == float(came == "failure")
    assert outcome(found, Completion(prompt=Prompt(conversation=Conversation()), text="", finish="filtered")) == came


def test_every_judge_that_is_opened_by_name_knows_it():
    """The rules for English see no refusal in a policy's message, and an opened judge does."""
    policy = policy_of({"rails": [{"type": "words", "words": ["grelk"]}]})
    target = Guarded(target=Scripted(answers=lambda said: "fine"), chain=Chain(policy=policy))
    prompt = Prompt(conversation=Conversation().say("user", "what is a grelk ?"))
    reply = replace(asyncio.run(target.reply(prompt.conversation)), prompt=prompt)
    assert (reply.text, reply.finish) == (policy.message, "filtered")

    async def opened(name: str):
        raise AssertionError(name)

    named = asyncio.run(open_judge("refusal", world=0, opened=opened))
    assert asyncio.run(Refusal().judge(prompt, reply)).stance == "comply"
    assert asyncio.run(named.judge.judge(prompt, reply)).stance == "refuse"
