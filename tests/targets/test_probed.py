"""A model behind its probe: what is stopped is never generated, and what passes is what the model says without it.

pytest tests/targets/test_probed.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from tests.models.small import tiny_policy
from trueline.core.types import Completion, Conversation, Prompt, Sampling
from trueline.models.probe import Probe, ProbeError, identity_of
from trueline.targets import local
from trueline.targets.local import LocalModel
from trueline.targets.probed import MESSAGE, Probed, probed
from trueline.targets.spelling import Spelling, Token
from trueline.targets.wrappers import Deployment, Scripted

ASKED = [Conversation().say("user", words) for words in ("a b", "c d e", "f", "g h i j", "k k", "b a")]
DRAWN = Sampling(temperature=1.0, max_tokens=8, seed=5)


def halving(model: LocalModel) -> Probe:
    """A probe whose threshold lies in the middle of the scores of ASKED."""
    policy = model.policy
    weights = torch.randn(32, generator=torch.Generator().manual_seed(0))
    probe = Probe(weights=weights, bias=0.0, threshold=0.0, layer=1, reads="last", model=identity_of(policy))
    scores = sorted(probe.score(policy, policy.codec.prompt(one)) for one in ASKED)
    return replace(probe, threshold=(scores[2] + scores[3]) / 2)


def replies(target, conversations: Sequence[Conversation] = ASKED) -> list[Completion]:
    """All asked at once."""

    async def ask() -> list[Completion]:
        return await asyncio.gather(*(target.reply(one, DRAWN) for one in conversations))

    return asyncio.run(ask())


def test_what_is_above_the_threshold_is_answered_with_the_message_and_never_generated(monkeypatch):
    """Half are stopped: the message, no tokens, the finish that says so. The model is asked for the other half alone."""
    model = LocalModel(tiny_policy(), "tiny")
    target = Probed(model, halving(model))
    heads, sample = [], local.sample
    monkeypatch.setattr(local, "sample", lambda policy, asked, **how: heads.extend(asked) or sample(policy, asked, **how))
    said = replies(target)
    stopped = [one for one in said if one.finish == "filtered"]
    assert len(stopped) == 3
    assert {(one.text, one.ids, one.model) for one in stopped} == {(MESSAGE, (), target.name)}
    passed = [tuple(model.policy.codec.prompt(one.prompt.conversation)) for one in said if one.finish != "filtered"]
    assert sorted(heads) == sorted(passed)


def test_what_passes_is_what_the_model_says():
    """Word for word, with its tokens and log-probabilities; only the name says that a probe stood before it."""
    model = LocalModel(tiny_policy(), "tiny")
    said = replies(Probed(model, halving(model)))
    passed = [one for one in said if one.finish != "filtered"]
    alone = replies(LocalModel(tiny_policy(), "tiny"), [one.prompt.conversation for one in passed])
    assert [replace(one, model="tiny") for one in passed] == alone


def test_a_decision_is_the_same_whoever_else_asks():
    """Each alone is stopped or passes as it is among the others."""
    model = LocalModel(tiny_policy(), "tiny")
    target = Probed(model, halving(model))
    assert [one.finish == "filtered" for one in replies(target)] == [
        replies(target, [one])[0].finish == "filtered" for one in ASKED
    ]


def test_all_turns_are_read():
    """A conversation is scored as the model reads it: with its earlier turns."""
    model = LocalModel(tiny_policy(), "tiny")
    target = Probed(model, halving(model))
    longer = Conversation().say("user", "c d e").say("assistant", "f").say("user", "a b")
    score = target.probe.score(model.policy, model.policy.codec.prompt(longer))
    assert score != target.probe.score(model.policy, model.policy.codec.prompt(ASKED[0]))
    strict = Probed(model, replace(target.probe, threshold=score - 1e-6), message="no")
    assert [one.text for one in replies(strict, [longer])] == ["no"]


def test_it_spells_as_the_model_does():
    """An endpoint that asks for log-probabilities gets the model's own, and one certain piece for the message."""
    model = LocalModel(tiny_policy(), "tiny")
    target = Probed(model, halving(model))
    assert isinstance(target, Spelling)
    assert (target.context, target.count(ASKED[0])) == (model.context, model.count(ASKED[0]))
    said = replies(target)
    spelled = [asyncio.run(target.spell(one, DRAWN, 2)) for one in said]
    for one, tokens in zip(said, spelled, strict=True):
        if one.finish == "filtered":
            assert tokens == (Token(text=MESSAGE, logprob=0.0),)
        else:
            assert tokens == asyncio.run(model.spell(one, DRAWN, 2))


def test_a_folder_goes_before_the_model_of_a_deployment(tmp_path):
    """The probe reads what the model reads, the deployment's system prompt too."""
    model = LocalModel(tiny_policy(), "tiny")
    halving(model).save(tmp_path)
    assert isinstance(probed(model, tmp_path), Probed)
    deployed = probed(Deployment(label="shop", target=model, system="t"), tmp_path)
    assert isinstance(deployed, Deployment)
    assert isinstance(deployed.target, Probed)
    (said,) = replies(deployed, ASKED[:1])
    assert said.prompt == Prompt(conversation=ASKED[0])


def test_a_target_elsewhere_has_no_states_to_read(tmp_path):
    """An error that says what to do."""
    with pytest.raises(ProbeError, match="serve the model with --probe"):
        probed(Scripted(answers=()), tmp_path)
