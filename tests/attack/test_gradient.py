"""The loss of suffixes: exact, of the text that is read, with the gradient that finite differences give."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import Tensor, nn

from tests.models.small import random_policy, tiny_policy
from trueline.attack.gradient import SuffixError, SuffixLoss, printable
from trueline.core.types import Conversation
from trueline.models.generate import sample
from trueline.models.policy import Policy, tiny
from trueline.models.tokens import train_tokenizer

BOTH = pytest.mark.parametrize("make", [tiny_policy, lambda: random_policy("gpt2")], ids=["our decoder", "transformers"])


def put(text: str) -> Conversation:
    return Conversation().say("system", "a b").say("user", "c d e" + text)


def loss_on(policy: Policy, opening: str = "f g h", length: int = 4, rows: int = 256) -> SuffixLoss:
    return SuffixLoss(policy, put, opening, length=length, rng=Random(0), rows=rows)


def plainly(policy: Policy, text: str, opening: str) -> float:
    """-log p(opening) after a prompt, from the logits of the whole row."""
    head = policy.codec.prompt(put(text))
    row = torch.tensor([head + policy.codec.ids(opening)])
    with torch.no_grad():
        logp = policy.logits(row)[0].log_softmax(-1)
    return -sum(float(logp[t - 1, row[0, t]]) for t in range(len(head), row.shape[1]))


@pytest.fixture(scope="module")
def merging() -> Policy:
    """A policy whose tokenizer merges letters into words, so that tokens side by side may be read as others."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["the cat sat on the mat and then the hat"] * 9, 300)
    return tiny(tokenizer, width=32, layers=1, heads=2, context=128).eval()


@BOTH
def test_the_loss_is_that_of_the_text_which_a_target_reads(make):
    """In a batch, shared prefix and all, each suffix has the loss of its text put into the conversation and read anew."""
    policy = make()
    loss = loss_on(policy)
    suffixes = [loss.start(Random(seed)) for seed in range(6)]
    suffixes.append((*suffixes[0][:3], loss.allowed[-1]))  # the same but for its last token
    expected = [plainly(policy, loss.text(suffix), "f g h") for suffix in suffixes]
    assert loss(suffixes) == pytest.approx(expected, abs=1e-4)
    assert loss_on(policy, rows=2)(suffixes) == pytest.approx(expected, abs=1e-4)
    assert loss([suffixes[0]] * 2) == pytest.approx([expected[0]] * 2, abs=1e-4)


@BOTH
def test_the_gradient_equals_finite_differences(make):
    """An entry is the slope of the loss when a little of a token's embedding is added at a position."""
    policy = make()
    loss = loss_on(policy)
    suffix = loss.start(Random(1))
    slope = loss.gradient(suffix)
    embedding = policy.model.get_input_embeddings()
    assert slope.shape == (4, embedding.num_embeddings)

    def at(position: int, token: int, amount: float) -> float:
        def add(module: nn.Module, inputs: tuple[Tensor, ...], embedded: Tensor) -> Tensor:
            embedded = embedded.clone()
            embedded.view(-1, embedded.shape[-1])[len(loss.head) + position] += amount * embedding.weight[token].detach()
            return embedded

        hook = embedding.register_forward_hook(add)
        try:
            return plainly(policy, loss.text(suffix), "f g h")
        finally:
            hook.remove()

    for position in range(4):
        for token in (9, 14, 20):
            one, two = (at(position, token, h) - at(position, token, -h) for h in (0.02, 0.04))
            assert float(slope[position, token]) == pytest.approx((8 * one - two) / (12 * 0.02), abs=3e-3, rel=3e-3)


@BOTH
def test_promising_tokens_have_the_steepest_slope(make):
    """Of the tokens that may be used, those with the smallest gradient come first, at every position; no weight has changed."""
    policy = make()
    before = [weight.detach().clone() for weight in policy.parameters()]
    loss = loss_on(policy)
    suffix = loss.start(Random(2))
    slope = loss.gradient(suffix)
    for position, tokens in enumerate(loss.promising(suffix, 5)):
        assert tokens == sorted(loss.allowed, key=lambda token: float(slope[position, token]))[:5]
    assert all(weight.grad is None for weight in policy.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, policy.parameters(), strict=True))


@BOTH
def test_it_says_the_opening_exactly_if_greedy_decoding_does(make):
    """What sampling at temperature 0 draws is said; an opening that differs from it in any one token is not."""
    policy = make()
    loss = loss_on(policy)
    suffix = loss.start(Random(3))
    (drawn,) = sample(policy, [policy.codec.prompt(put(loss.text(suffix)))], max_tokens=3, temperature=0.0)[0]
    assert len(drawn.ids) == 3
    loss.opening = drawn.ids
    assert loss.says(suffix)
    for place in range(3):
        loss.opening = (*drawn.ids[:place], (drawn.ids[place] + 1) % 20, *drawn.ids[place + 1 :])
        assert not loss.says(suffix)


def test_a_suffix_that_is_read_as_other_tokens_does_not_count(merging):
    """Two tokens that their text merges into one are found out; tokens that stay apart are not."""
    codec = merging.codec
    loss = SuffixLoss(merging, put, " the", length=2, rng=Random(0))
    t, he, x = codec.ids("t")[0], codec.ids("he")[0], codec.ids("x")[0]
    assert len(codec.ids("the")) == 1
    assert loss.text((t, he)) == "the"
    assert not loss.reads((t, he))
    assert loss.reads((x, x))
    read = codec.prompt(put(loss.text((x, x))))
    assert (*read,) == (*loss.head, x, x, *loss.tail)


def test_the_first_suffix_reads_back_and_follows_its_seed(merging):
    """A random suffix is never one that would be read otherwise; a seed gives it again, and another seed another."""
    loss = SuffixLoss(merging, put, " the", length=12, rng=Random(0))
    firsts = [loss.start(Random(seed)) for seed in (1, 1, 2, 3)]
    assert all(loss.reads(first) for first in firsts)
    assert firsts[0] == firsts[1] != firsts[2] != firsts[3]
    assert len(set(firsts[0])) > 3


def test_marks_and_special_tokens_are_never_used(merging):
    """What a user could not type, or what would play another's turn, is not among the tokens of a suffix."""
    policy = tiny_policy()
    words = [policy.codec.tokenizer.decode([token]) for token in printable(policy.codec.tokenizer, 64)]
    assert words == list("abcdefghijklmnopqrst")
    texts = [merging.codec.tokenizer.decode([t]) for t in printable(merging.codec.tokenizer, 300)]
    assert texts
    assert all(text.strip() and text.isascii() and text.isprintable() for text in texts)
    assert "<eos>" not in texts


def test_the_deployment_stands_before_the_suffix():
    """The loss is that of the conversation as the policy meets it."""
    policy = tiny_policy()

    def deployed(text: str) -> Conversation:
        return Conversation().say("system", "i j k").say("user", "c d e" + text)

    there = SuffixLoss(policy, deployed, "f g h", length=4, rng=Random(0))
    here = loss_on(policy)
    suffix = here.start(Random(0))
    assert there.tail == here.tail
    assert list(there.head) == policy.codec.ids("<bos> <sys> i j k <user> c d e")
    assert there([suffix]) != pytest.approx(here([suffix]), abs=1e-3)


def test_what_does_not_fit_is_refused():
    """A conversation that is too long with its suffix, and an opening without tokens, are said before any search."""
    with pytest.raises(SuffixError, match="the model takes 128"):
        loss_on(tiny_policy(), length=120)
    with pytest.raises(SuffixError, match="no tokens"):
        loss_on(tiny_policy(), opening="")
