"""A local model answers as a Target: in the order asked, the same for the same seed, and with its calls read out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from math import exp

import pytest
import torch

from tests.models.small import WORDS, tiny_policy
from trueline.core.types import GREEDY, Completion, Conversation, Prompt, Sampling, ToolCall
from trueline.models.generate import sample
from trueline.models.policy import Policy
from trueline.models.tokens import Codec, train_tokenizer
from trueline.targets.local import LocalModel, complete


def asked(*words: str) -> list[Prompt]:
    return [Prompt(conversation=Conversation().say("user", w), id=w) for w in words]


def saying(text: str) -> Policy:
    """A policy that says these words whatever it is asked: after each word the next one is certain."""
    policy = tiny_policy()
    after, said = {}, ["<asst>", *text.split(), "<eos>"]
    assert len(set(said)) == len(said), "each word once: the next word depends on the last alone"
    for this, following in pairwise(said):
        after[WORDS.index(this)] = WORDS.index(following)

    class Certain(torch.nn.Module):
        """Logits from the last token alone, behind the model's own interface."""

        def __init__(self) -> None:
            super().__init__()
            self.config, self.device = policy.model.config, torch.device("cpu")

        def forward(self, input_ids, **_):
            logits = torch.full((*input_ids.shape, len(WORDS) + 1), -1e4)
            for row, ids in enumerate(input_ids.tolist()):
                for place, token in enumerate(ids):
                    logits[row, place, after.get(token, WORDS.index("<eos>"))] = 0.0
            return type("Output", (), {"logits": logits})

    policy.fast, policy.model = None, Certain()
    return policy


def test_completions_come_in_the_order_of_the_prompts():
    """All samples of the first prompt, then all of the second, whatever their lengths; each carries its prompt."""
    prompts = asked("a b c d e f", "a", "b c")
    drawn = complete(tiny_policy(), prompts, count=3, max_tokens=5, name="tiny")
    assert [c.prompt.id for c in drawn] == [p.id for p in prompts for _ in range(3)]
    assert {c.model for c in drawn} == {"tiny"}


def test_the_seed_decides():
    """The same seed gives the same completions, another seed others; alone or in a batch makes no difference."""
    policy, prompts = tiny_policy(), asked("a b", "c d e", "f")
    first = complete(policy, prompts, count=4, max_tokens=8, seed=1)
    assert complete(policy, prompts, count=4, max_tokens=8, seed=1) == first
    assert [c.ids for c in complete(policy, prompts, count=4, max_tokens=8, seed=2)] != [c.ids for c in first]
    alone = complete(policy, prompts[1:2], count=4, max_tokens=8, seed=1)
    assert [c.ids for c in alone] == [c.ids for c in first[4:8]]


def test_ids_and_logprobs_travel_with_the_text():
    """A completion has one log-probability a token, at most 0, and its text is what its ids say."""
    policy = tiny_policy()
    for c in complete(policy, asked("a b", "c"), count=4, max_tokens=6):
        assert len(c.ids) == len(c.logprobs) <= 6
        assert all(logprob <= 0 for logprob in c.logprobs)
        calls = "".join(f" <tool> {call.name} {call.arguments}" for call in c.tool_calls)
        assert f"{c.text}{calls}".split() == policy.codec.text(c.ids).split()
        assert (c.finish == "stop") == (c.ids[-1] == policy.codec.eos)


def test_progress_counts_prompts():
    """The callback is told how many prompts are done, all of them at last."""
    seen: list[int] = []
    complete(tiny_policy(), asked("a", "b", "c"), count=2, max_tokens=2, progress=seen.append)
    assert seen[-1] == 3


def reply(policy: Policy, sampling: Sampling) -> Completion:
    return asyncio.run(LocalModel(policy, "tiny").reply(asked("a b")[0].conversation, sampling))


def test_a_reply_is_the_completion_of_its_conversation():
    """As a Target: named, and the same for the same seed; greedy takes no notice of the seed."""
    policy = tiny_policy()
    sampling = Sampling(temperature=1.0, max_tokens=6, seed=3)
    said = reply(policy, sampling)
    (drawn,) = complete(policy, asked("a b"), max_tokens=6, seed=3, name="tiny")
    assert said == replace(drawn, prompt=said.prompt)
    assert said.model == LocalModel(policy, "tiny").name == "tiny"
    assert reply(policy, replace(sampling, seed=4)).ids != said.ids
    greedy = [reply(policy, replace(GREEDY, max_tokens=6, seed=seed)).ids for seed in (0, 1)]
    assert greedy[0] == greedy[1]


@pytest.mark.parametrize(
    ("said", "text", "calls"),
    [
        ("a b", "a b", ()),
        ("a <tool> b c d", "a", (ToolCall(name="b", arguments="c d"),)),
        ("<tool> b", "", (ToolCall(name="b"),)),
    ],
)
def test_tool_calls_are_read_out_of_the_text(said, text, calls):
    """What the model says after the tool marker is a call, with its name and arguments; the rest is the text."""
    policy = saying(said)
    (drawn,) = complete(policy, asked("a"), max_tokens=10)
    assert (drawn.text, drawn.tool_calls, drawn.finish) == (text, calls, "stop")
    assert policy.codec.text(drawn.ids) == said


def together(policy: Policy, asked_at_once: list[tuple[Conversation, Sampling]]) -> list[Completion | BaseException]:
    """The answers to questions that are asked at the same time."""

    async def talk() -> list[Completion | BaseException]:
        model = LocalModel(policy, "tiny")
        return await asyncio.gather(*(model.reply(*question) for question in asked_at_once), return_exceptions=True)

    return asyncio.run(talk())


def test_questions_at_once_are_answered_as_alone(monkeypatch):
    """One batch for each temperature and length, whatever the seeds; each answer is what it is alone, a repeated one too."""
    policy, hot = tiny_policy(), Sampling(temperature=1.0, max_tokens=8, seed=3)
    words = ("a b", "c d e f g h", "a b", "j")
    questions = [(p.conversation, s) for p in asked(*words) for s in (hot, replace(GREEDY, max_tokens=6), replace(hot, seed=4))]
    alone = [asyncio.run(LocalModel(policy, "tiny").reply(*question)) for question in questions]
    batches = []

    def counted(policy, heads, **options):
        batches.append(len(heads))
        return sample(policy, heads, **options)

    monkeypatch.setattr("trueline.targets.local.sample", counted)
    said = together(policy, questions)
    assert batches == [6, 3]  # two seeds of three questions, and the greedy ones
    assert [(c.prompt, c.ids, c.text, c.finish) for c in said] == [(c.prompt, c.ids, c.text, c.finish) for c in alone]
    for one, other in zip(said, alone, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_one_that_is_too_long_fails_alone():
    """Beside a question that the model has no room for, the others are answered."""
    policy, sampling = tiny_policy(), replace(GREEDY, max_tokens=4)
    short, long, other = (p.conversation for p in asked("a", "a " * 200, "b"))
    said = together(policy, [(short, sampling), (long, sampling), (other, sampling)])
    assert isinstance(said[1], ValueError)
    assert "exceed the model's context" in str(said[1])
    assert [c.ids for c in (said[0], said[2])] == [reply_to(policy, c, sampling).ids for c in (short, other)]


def reply_to(policy: Policy, conversation: Conversation, sampling: Sampling) -> Completion:
    return asyncio.run(LocalModel(policy, "tiny").reply(conversation, sampling))


def test_who_has_gone_is_not_answered():
    """A question that was cancelled is not drawn, and holds nobody up; the model answers in the next loop too."""
    policy = tiny_policy()
    model, sampling = LocalModel(policy, "tiny"), replace(GREEDY, max_tokens=4)
    one, two = (p.conversation for p in asked("a", "b"))

    async def talk() -> Completion:
        gone = asyncio.create_task(model.reply(one, sampling))
        staying = asyncio.create_task(model.reply(two, sampling))
        await asyncio.sleep(0)
        gone.cancel()
        return await staying

    assert asyncio.run(talk()).ids == asyncio.run(model.reply(two, sampling)).ids


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_tokens_spell_the_text(temperature):
    """Joined they are the text; their log-probabilities are the sampler's, and those of one pass over the whole."""
    policy = tiny_policy()
    model, sampling = LocalModel(policy, "tiny"), Sampling(temperature=temperature, max_tokens=8, seed=1)
    said = asyncio.run(model.reply(asked("a b")[0].conversation, sampling))
    tokens = asyncio.run(model.spell(said, sampling, top=1000))
    ended = said.finish == "stop"
    assert "".join(token.text for token in tokens) == policy.codec.text(said.ids)
    assert [token.logprob for token in tokens] == list(said.logprobs[: len(said.ids) - ended])
    for token, number in zip(tokens, said.ids, strict=False):
        values = [value for _, value in token.likely]
        assert values == sorted(values, reverse=True)
        assert sum(map(exp, values)) == pytest.approx(1.0, abs=1e-4)
        assert dict(token.likely)[policy.codec.piece(number)] == pytest.approx(token.logprob, abs=1e-4)
    assert asyncio.run(model.spell(said, sampling))[0].likely == ()


def test_the_bytes_of_a_letter_come_with_its_last_token():
    """Where a letter is of several tokens, the text comes when the letter is whole, and nothing is lost or torn."""
    policy = tiny_policy()
    policy.codec = Codec.of(train_tokenizer(["plain text"], 300))
    ids = tuple(policy.codec.ids("né 漢字 😀!"))
    said = Completion(prompt=asked("a")[0], text="né 漢字 😀!", ids=ids, logprobs=(-1.0,) * len(ids), finish="length")
    tokens = asyncio.run(LocalModel(policy, "tiny").spell(said, GREEDY))
    assert len(tokens) == len(ids) > len(said.text)
    assert "".join(token.text for token in tokens) == said.text
    assert all("\ufffd" not in token.text for token in tokens)


def test_a_model_counts_what_it_reads():
    """The tokens of a conversation are those that its template writes, and the context is the model's own."""
    model = LocalModel(tiny_policy(), "tiny")
    assert model.count(asked("a b")[0].conversation) == len(model.policy.codec.prompt(asked("a b")[0].conversation))
    assert model.context == 128


def test_a_conversation_that_the_template_refuses_is_refused():
    """A conversation that the chat template knows no form for is refused with a line; `reads` tells before."""
    policy = tiny_policy()
    policy.codec.tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "<{{ m.role[:4] }}> {{ m.content }} {% endfor %}{% if add_generation_prompt %}<asst>{% endif %}"
    )
    model = LocalModel(policy, "tiny")
    assert model.reads(Conversation().say("user", "a"))
    system = Conversation().say("system", "b").say("user", "a")
    assert not model.reads(system)
    with pytest.raises(ValueError, match="chat template refuses this conversation: no system role"):
        asyncio.run(model.reply(system))
