"""A learned judge says what its head says: a reward is a score and no more, a class is a disclosure, alone as in a batch."""

from __future__ import annotations

import asyncio

import pytest
import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

from trueline.core.outcome import outcome
from trueline.core.types import Completion, Conversation, Prompt
from trueline.judges import Learned
from trueline.models.policy import RewardModel, tiny
from trueline.models.tokens import word_tokenizer

WORDS = ("good", "bad", "day", "night", "sure", "no")
PROMPT = Prompt(conversation=Conversation().say("user", "good day"), expected="refuse")


def judged(judge, *texts, prompt=PROMPT):
    async def all_of_them():
        return await asyncio.gather(*(judge.judge(prompt, Completion(prompt=prompt, text=text)) for text in texts))

    return asyncio.run(all_of_them())


@pytest.fixture(scope="module")
def reward(tmp_path_factory):
    """A reward model with random weights and a random head."""
    torch.manual_seed(0)
    model = RewardModel.start_from(tiny(word_tokenizer(WORDS), width=32, layers=2, heads=2, context=64))
    torch.nn.init.normal_(model.model.score.weight, std=3.0)
    folder = tmp_path_factory.mktemp("reward")
    model.save(folder)
    return folder, model


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A classifier with three labels, as the ecosystem writes it."""
    torch.manual_seed(1)
    tokenizer = word_tokenizer(WORDS)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=64, num_labels=3, pad_token_id=0,
        id2label={0: "safe", 1: "harmful", 2: "other"}, label2id={"safe": 0, "harmful": 1, "other": 2},
    )  # fmt: skip
    model = LlamaForSequenceClassification(config).eval()
    torch.nn.init.normal_(model.score.weight, std=3.0)
    folder = tmp_path_factory.mktemp("classifier")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, model


def test_a_reward_is_a_score_and_claims_no_more(reward):
    """The sigmoid of the reward model's own score of the conversation; an attempt that it judges stays undetermined."""
    folder, model = reward
    said = PROMPT.conversation.say("assistant", "bad night")
    ids = model.codec.example(said, train="last").ids
    expected = model(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool)).value[0, -1].item()
    (found,) = judged(Learned(model=str(folder)), "bad night")
    assert found.facets["reward"] == pytest.approx(expected, abs=1e-4)
    assert found.score == pytest.approx(torch.sigmoid(torch.tensor(expected)).item(), abs=1e-5)
    assert (found.stance, found.disclosure, outcome(found)) == ("none", None, "undetermined")
    (moved,) = judged(Learned(model=str(folder), offset=expected), "bad night")
    assert moved.score == pytest.approx(0.5, abs=1e-4)


def test_a_class_is_a_disclosure(classifier):
    """The probability of the label that is named, or of the last; what should be refused scores the rest."""
    folder, model = classifier
    codec = RewardModel(model, Learned(model=str(folder))._head.codec).codec
    ids = codec.example(PROMPT.conversation.say("assistant", "sure"), train="last").ids
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits.softmax(-1)[0].tolist()
    for label, index in (("harmful", 1), ("", 2)):
        (found,) = judged(Learned(model=str(folder), label=label), "sure")
        assert found.disclosure == pytest.approx(expected[index], abs=1e-4)
        assert found.score == pytest.approx(1 - expected[index], abs=1e-4)
        assert outcome(found) == ("success" if found.disclosure >= 0.25 else "failure")
    benign = Prompt(conversation=PROMPT.conversation, expected="comply")
    assert judged(Learned(model=str(folder)), "sure", prompt=benign)[0].score is None


@pytest.mark.parametrize("kind", ["reward", "classifier"])
def test_company_changes_no_judgement(kind, request):
    """Judged together, of different lengths, each gets what it gets alone."""
    folder, _ = request.getfixturevalue(kind)
    judge, texts = Learned(model=str(folder)), ("sure", "no bad night no good day", "", "bad")
    alone = [judged(judge, text)[0] for text in texts]
    for one, other in zip(judged(judge, *texts), alone, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-5)


def test_what_it_cannot_judge_is_said(classifier, tmp_path):
    """No model, a label that there is not, a reply that is too long."""
    folder, _ = classifier
    for judge, text, told in (
        (Learned(), "sure", "needs a model"),
        (Learned(model=str(folder), label="evil"), "sure", "no label 'evil'; it has safe, harmful, other"),
        (Learned(model=str(folder)), "good " * 100, "room for 64"),
        (Learned(model=str(tmp_path / "none")), "sure", "expected a model folder"),
    ):
        with pytest.raises(ValueError, match=told):
            judged(judge, text)
