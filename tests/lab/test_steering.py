"""Directions of the residual stream: taking one out is a projection, adding nothing changes nothing.

pytest tests/lab/test_steering.py
"""

from __future__ import annotations

import pytest
import torch

from tests.lab.toys import random_model
from tests.models.small import random_policy
from trueline.core.types import Conversation, Prompt
from trueline.lab.steering import ablating, adding, direction, random_unit, sampled, states
from trueline.targets.local import complete
from trueline.world.facts import make_world
from trueline.world.prompts import attack_prompts, training_prompts

WORLD = make_world(0)
PROMPTS = [*attack_prompts(WORLD, 0, "direct", WORLD.hazards, 5), *training_prompts(WORLD, 0, 4)]
POLICY = random_model()


def same(layer, x):
    return x


def test_taking_a_direction_out_twice_is_taking_it_out_once_and_leaves_none_of_it():
    """x - r r^T x is a projection onto what is orthogonal to r."""
    r = random_unit(torch.zeros(32), 0)
    x = torch.randn(3, 7, 32)
    once = ablating(r)(1, x)
    assert torch.allclose(ablating(r)(1, once), once, atol=1e-6)
    assert (once @ r).abs().max() < 1e-5
    assert not torch.allclose(once, x)


def test_adding_zero_changes_nothing_and_adding_changes_one_layer_alone():
    """The other layers' states go on as they are."""
    x = torch.randn(2, 3, 32)
    assert torch.equal(adding(torch.zeros(32), 1)(1, x), x)
    assert torch.equal(adding(torch.ones(32), 1)(0, x), x)
    assert torch.equal(adding(torch.ones(32), 1)(1, x), x + 1)
    said = [sampled(POLICY, PROMPTS, change, max_tokens=6, seed=1) for change in (same, adding(torch.zeros(32), 1))]
    assert [c.ids for c in said[0]] == [c.ids for c in said[1]]


def test_unchanged_states_sample_what_the_decoder_samples():
    """Reading every row anew gives the greedy completions of the cached decoder, in the order of the prompts."""
    ours = sampled(POLICY, PROMPTS, same, max_tokens=8, temperature=0)
    assert [c.ids for c in ours] == [c.ids for c in complete(POLICY, PROMPTS, max_tokens=8, temperature=0)]
    assert [c.prompt for c in ours] == PROMPTS


def test_a_large_shift_reaches_the_text():
    """The change is made while sampling, and not only beside it."""
    shifted = sampled(POLICY, PROMPTS, adding(50 * random_unit(torch.zeros(32), 0), 1), max_tokens=8, temperature=0)
    assert [c.ids for c in shifted] != [c.ids for c in sampled(POLICY, PROMPTS, same, max_tokens=8, temperature=0)]


def test_a_prompt_draws_the_same_in_any_batch():
    """Equal seeds draw with equal random numbers, whatever else is asked and however long it is."""
    alone = sampled(POLICY, PROMPTS[:1], same, max_tokens=6, seed=3)
    assert alone[0].ids == sampled(POLICY, PROMPTS, same, max_tokens=6, seed=3)[0].ids


def test_states_are_those_of_the_last_tokens_and_padding_is_none_of_them():
    """A prompt's states do not depend on the longer ones beside it."""
    together, alone = states(POLICY, PROMPTS, 3), states(POLICY, PROMPTS[:1], 3)
    assert together.shape == (3, 2, len(PROMPTS), 32)
    assert torch.allclose(together[:, :, :1], alone, atol=1e-5)


def test_a_direction_points_from_one_mean_to_the_other():
    """Its length is their distance, and the unit vector times it leads from mean to mean."""
    a, b = torch.randn(6, 32), torch.randn(4, 32)
    r = direction(a, b)
    assert torch.allclose(b.mean(0) + r.length * r.unit, a.mean(0), atol=1e-5)
    assert r.unit.norm() == pytest.approx(1.0, abs=1e-5)


def test_any_architecture_can_be_steered():
    """A model off the fast path is read and changed through its blocks."""
    policy = random_policy("gpt2")
    asked = [Prompt(conversation=Conversation().say("user", text)) for text in ("a b c", "d e", "f g h i")]
    plain = sampled(policy, asked, same, max_tokens=5, temperature=0)
    moved = sampled(policy, asked, adding(50 * random_unit(torch.zeros(32), 0), 1), max_tokens=5, temperature=0)
    assert [c.ids for c in plain] != [c.ids for c in moved]
