"""What is known of tokens: a model's own, a deployment's with all that it puts before, and of others the text alone."""

from __future__ import annotations

import asyncio

import pytest

from tests.models.small import tiny_policy
from trueline.core.types import Conversation, Sampling
from trueline.targets.local import LocalModel
from trueline.targets.spelling import Deployed, Unspelled
from trueline.targets.wrappers import Deployment

HELLO = Conversation().say("user", "a b")


def test_a_deployment_is_spelled_by_its_model():
    """It reads what the deployment puts before the conversation, and spells its answer at the deployment's temperature."""
    model = LocalModel(tiny_policy(), "tiny")
    deployment = Deployment(label="d", target=model, system="c d e", temperature=0.5, max_tokens=6)
    spelling = Deployed(deployment, model)
    assert spelling.count(HELLO) == model.count(deployment.deployed(HELLO)) > model.count(HELLO)
    assert spelling.context == model.context
    said = asyncio.run(deployment.reply(HELLO, Sampling(temperature=1.0, seed=1)))
    tokens = asyncio.run(spelling.spell(said, Sampling(temperature=1.0), top=1000))
    for token, number in zip(tokens, said.ids, strict=False):
        assert dict(token.likely)[model.policy.codec.piece(number)] == pytest.approx(token.logprob, abs=1e-4)


def test_of_others_the_text_is_known():
    """Four letters are a token, the context is open, and nothing is spelled."""
    assert Unspelled().count(Conversation().say("system", "abcd").say("user", "abcdefgh")) == 3
    assert Unspelled().context is None
