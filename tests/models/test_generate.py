"""Samples are reproducible, independent of their batch, and carry exact log-probabilities."""

import pytest
import torch

from tests.models.small import random_policy, tiny_policy
from trueline.models.decoder import ordinary
from trueline.models.generate import sample

PROMPTS = [[1, 4, 9, 10, 5], [1, 4, 11, 5], [1, 4, 12, 13, 14, 15, 5], [1, 4, 9, 10, 5]]


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_a_sample_does_not_depend_on_its_batch(family):
    """Sampling a prompt alone, in another order or in small batches gives the same ids."""
    policy = random_policy(family)
    together = sample(policy, PROMPTS, count=3, max_tokens=12, seed=7)
    split = sample(policy, PROMPTS, count=3, max_tokens=12, seed=7, rows=3)
    alone = sample(policy, PROMPTS[2:3], count=3, max_tokens=12, seed=7)
    assert [[s.ids for s in group] for group in together] == [[s.ids for s in group] for group in split]
    assert [s.ids for s in together[2]] == [s.ids for s in alone[0]]


def test_the_same_prompt_twice_is_sampled_afresh():
    """Two occurrences of one prompt draw from different streams; another seed draws another."""
    policy = random_policy("qwen3")
    groups = sample(policy, PROMPTS, count=4, max_tokens=12, seed=7)
    assert [s.ids for s in groups[0]] != [s.ids for s in groups[3]]
    assert [s.ids for s in groups[0]] != [s.ids for s in sample(policy, PROMPTS, count=4, max_tokens=12, seed=8)[0]]


def test_a_prompt_that_came_before_in_another_call_is_sampled_as_in_the_same_one():
    """Told how many like it came earlier, a call that has only some of the prompts draws what one call draws for all."""
    policy = random_policy("qwen3")
    together = sample(policy, PROMPTS, count=2, max_tokens=12, seed=7)
    rest = sample(policy, PROMPTS[2:], count=2, max_tokens=12, seed=7, earlier=[0, 1])
    assert [[s.ids for s in group] for group in rest] == [[s.ids for s in group] for group in together[2:]]


def test_each_prompt_may_have_its_own_seed():
    """In one batch each is drawn as alone under its seed, the same prompt under several seeds too; as many seeds as prompts."""
    policy, seeds = random_policy("qwen3"), [7, 8, 7, 9]
    together = sample(policy, PROMPTS, count=2, max_tokens=12, seed=seeds)
    for prompt, seed, group in zip(PROMPTS, seeds, together, strict=True):
        assert [s.ids for s in sample(policy, [prompt], count=2, max_tokens=12, seed=seed)[0]] == [s.ids for s in group]
    with pytest.raises(ValueError, match="zip"):
        sample(policy, PROMPTS, max_tokens=2, seed=[1])


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_logprobs_are_the_trainers_logprobs(family, temperature):
    """The sampler's log-probabilities equal those of a forward pass over prompt and sample."""
    policy = random_policy(family)
    for prompt, group in zip(PROMPTS, sample(policy, PROMPTS, count=2, max_tokens=10, temperature=temperature), strict=True):
        for drawn in group:
            tokens = torch.tensor([prompt + list(drawn.ids)])
            mask = torch.zeros_like(tokens)
            mask[:, len(prompt) :] = 1
            with torch.no_grad():
                logp = policy(tokens, mask, frozenset({"logp"}), temperature).logp[0, len(prompt) :]
            torch.testing.assert_close(logp, torch.tensor(drawn.logprobs), atol=1e-4, rtol=1e-4)


def test_greedy_equals_transformers_generate():
    """Temperature 0 follows transformers' own greedy decoding."""
    policy = tiny_policy()
    theirs_of = ordinary(policy.model).generate
    for prompt, group in zip(PROMPTS, sample(policy, PROMPTS, max_tokens=8, temperature=0), strict=True):
        theirs = theirs_of(torch.tensor([prompt]), max_new_tokens=8, do_sample=False)[0, len(prompt) :]
        assert list(group[0].ids) == theirs.tolist()


def test_sampling_follows_the_distribution():
    """The frequency of first tokens over many samples is the model's own softmax."""
    policy = random_policy("qwen3", seed=3)
    drawn = sample(policy, [PROMPTS[0]], count=4000, max_tokens=1, rows=4000)[0]
    counts = torch.bincount(torch.tensor([s.ids[0] for s in drawn]), minlength=64) / 4000
    with torch.no_grad():
        expected = policy.logits(torch.tensor([PROMPTS[0]]))[0, -1].softmax(-1)
    assert (counts - expected).abs().sum() < 0.12


def test_bad_requests_are_refused_before_work_starts():
    """An empty prompt and a prompt beyond the context are named."""
    policy = tiny_policy()
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        sample(policy, [[1], []])
    with pytest.raises(ValueError, match="exceed the model's context of 128"):
        sample(policy, [[1] * 100], max_tokens=40)
