"""PPO on a race is the PPO that trains language models: the same frame of tokens, the same gradient, the same loop.

pytest tests/lab/races/test_sailing.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from trueline.core.config import ConfigError
from trueline.lab.races.boat import boat
from trueline.lab.races.exact import evaluate
from trueline.lab.races.player import Player, one_hot
from trueline.lab.races.sailing import Gradient, Sailing, to_go
from trueline.train.loop import gradients

SHORT = replace(boat(), horizon=8)


def sailing(how, learners=3, races=(SHORT,)):
    """A source with a fresh player of random weights."""
    torch.manual_seed(0)
    player = Player(one_hot(SHORT), SHORT.horizon, 4, learners, how.hidden, scatter=0.5)
    return Sailing(player=player, races=races, annotate=how.annotate(), how=how, seed=0)


def test_what_is_drawn_is_what_happened():
    """Tokens tell the states and actions of an episode of the race, and the rewards at the actions are those of its steps."""
    source = sailing(Gradient(episodes=4, scale=1.0))
    batch = source.drawn(np.random.default_rng(0))
    for row, paid in zip(batch.tokens, batch.columns["token_reward"], strict=True):
        states, actions = row[1::2].numpy(), row[2::2].numpy()
        assert states[0] == 0
        assert (SHORT.following[states[:-1], actions[:-1], 0] == states[1:]).all()
        assert paid[2::2].numpy() == pytest.approx(SHORT.reward[states, actions, 0])
    assert (batch.mask[:, 1::2] == 0).all()
    assert batch.mask[:, 2::2].all()


def test_on_the_first_pass_every_ratio_is_one():
    """Sampler and trainer are one model, so that nothing is clipped and the surrogate is the mean advantage."""
    how = Gradient(episodes=4)
    source = sailing(how)
    batch = next(iter(source.batches(0)))
    found = gradients(source.player, how.objective(), batch)
    assert found["clipped"] == 0
    assert found["ratio_max"] == pytest.approx(0, abs=1e-6)
    assert found["policy"] == pytest.approx(-float(batch.columns["advantage"][batch.mask].mean()), abs=1e-5)


@pytest.mark.parametrize("kind", ["ppo", "reinforce"])
def test_a_small_step_along_the_gradient_raises_the_expected_return(kind):
    """The exact return, by dynamic programming, before and after one step of every learner."""
    how = Gradient(kind=kind, episodes=400, epochs=1, entropy=0.0)
    source = sailing(how, learners=2)
    batch = next(iter(source.batches(0)))
    before = [evaluate(SHORT, policy)[0] for policy in source.player.policies()]
    gradients(source.player, how.objective(), batch)
    with torch.no_grad():
        source.player.actor.outer -= 0.5 * source.player.actor.outer.grad
    after = [evaluate(SHORT, policy)[0] for policy in source.player.policies()]
    assert all(b > a for a, b in zip(before, after, strict=True))


def test_learners_are_strangers():
    """A learner's gradient is its own rows' alone: with another's rewards changed, it stays as it is."""
    how = Gradient(episodes=4)
    source = sailing(how, learners=2)
    batch = source.drawn(np.random.default_rng(0))
    other = batch.columns["token_reward"].clone()
    other[4:] *= 3
    found = []
    for each in (batch, batch.having(token_reward=other)):
        source.player.zero_grad()
        gradients(source.player, how.objective(), how.annotate()(each))
        found.append(source.player.actor.outer.grad.clone())
    assert torch.allclose(found[0][0], found[1][0])
    assert not torch.allclose(found[0][1], found[1][1])


def test_rewards_to_go_have_mean_zero_among_the_episodes_of_a_learner():
    """REINFORCE's baseline is the learner's own mean at the step."""
    batch = to_go(sailing(Gradient(kind="reinforce", epochs=1, episodes=4)).drawn(np.random.default_rng(0)))
    assert batch.columns["advantage"].view(3, 4, -1).mean(1).abs().max() < 1e-5


def test_ppo_learns_a_short_race_and_the_same_seed_the_same():
    """Within an episode of eight steps four arrows can be entered: 4 * 2 - 4 * 1."""
    how = Gradient(iterations=40, episodes=8, epochs=2, lr=0.1)
    policies = how.learn(SHORT, one_hot(SHORT), learners=3, seed=1)
    best = np.eye(4)[policies.argmax(-1)]
    assert [evaluate(SHORT, policy)[0] for policy in best] == pytest.approx([4.0] * 3)
    assert np.array_equal(policies, how.learn(SHORT, one_hot(SHORT), learners=3, seed=1))


def test_reinforce_does_not_replay():
    """A second pass would be off-policy."""
    with pytest.raises(ConfigError, match="one epoch"):
        Gradient(kind="reinforce", epochs=2)
