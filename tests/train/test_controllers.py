"""What adapts during RL: closed forms of each step, and a kill that none of it notices."""

import math
from statistics import fmean, pstdev

import pytest
import torch

from tests.models.small import tiny_policy
from trueline.core.types import Conversation, Prompt
from trueline.models.checkpoint import latest_checkpoint
from trueline.train import advantages, annotate
from trueline.train.controllers import AdaptiveKL, Lagrange, RunningScale
from trueline.train.loop import Keeper, Loop, train
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.optim import Optim
from trueline.train.rollout import Rollouts
from trueline.train.shaping import Shaping

PROMPTS = [Prompt(conversation=Conversation().say("user", "a b " * (i + 1)), id=str(i)) for i in range(4)]


def test_the_kl_weight_moves_towards_the_target():
    """beta <- beta (1 + gain e), with e = (KL - target) / target held within a fifth."""
    control = AdaptiveKL(start=0.1, target=5.0, gain=0.1)
    control.update(5.5)
    assert control.beta == pytest.approx(0.1 * 1.01)
    control.update(500.0)
    assert control.beta == pytest.approx(0.1 * 1.01 * 1.02)
    control.update(0.0)
    assert control.beta == pytest.approx(0.1 * 1.01 * 1.02 * 0.98)


def test_the_multiplier_climbs_while_the_cost_is_too_high():
    """eta moves by lr (mean of the window - limit) lambda, after the delay, and lambda stays below its bound."""
    multiplier = Lagrange(limit=0.2, start=1.0, lr=0.5, bound=2.0, delay=1, window=2)
    assert multiplier.update(0.9) == 1.0
    assert multiplier.update(0.5) == pytest.approx(math.exp(0.5 * (0.7 - 0.2)))
    assert multiplier.recent == [0.9, 0.5]
    for _ in range(20):
        highest = multiplier.update(5.0)
    assert highest == pytest.approx(2.0)
    for _ in range(5):
        lower = multiplier.update(0.0)
    assert lower < highest


def test_the_running_scale_is_that_of_all_rewards_so_far():
    """However the rewards come in, the result is the mean and the deviation of all of them."""
    rewards = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0]
    scale = RunningScale()
    scale.see(rewards[:2])
    scale.see(rewards[2:])
    expected = [(r - fmean(rewards)) / pstdev(rewards) for r in rewards]
    assert scale(rewards) == pytest.approx(expected)


@pytest.mark.parametrize("made", [lambda: AdaptiveKL(0.07, 3.0), lambda: Lagrange(0.1, window=3), RunningScale])
def test_state_is_put_back_to_the_bit(made):
    """Restored from its state, a keeper goes on exactly as the one it came from."""
    first, second = made(), made()
    move = {AdaptiveKL: lambda k, x: k.update(x), Lagrange: lambda k, x: k.update(x), RunningScale: lambda k, x: k.see([x])}
    for x in (0.3, 1.7, 9.1, 0.123456789):
        move[type(first)](first, x)
    assert isinstance(first, Keeper)
    second.restore(first.state())
    for keeper in (first, second):
        move[type(first)](keeper, 0.77)
    assert {k: v.tolist() for k, v in first.state().items()} == {k: v.tolist() for k, v in second.state().items()}


@pytest.mark.parametrize(
    "wrong", [lambda: AdaptiveKL(0.0, 3.0), lambda: Lagrange(0.0, start=20.0), lambda: Lagrange(0.0, window=0)]
)
def test_settings_out_of_range_are_refused(wrong):
    """A weight of zero cannot adapt, and a multiplier starts below its bound."""
    with pytest.raises(ValueError, match="needs"):
        wrong()


class KilledError(Exception):
    pass


def rl(policy, **options):
    """A run whose every adapting part moves: an adaptive KL, a running scale, refilled groups, two passes of two parts."""
    weight, scale = AdaptiveKL(0.05, 0.01), RunningScale()
    reference = tiny_policy(seed=0).frozen()
    source = Rollouts(
        policy=policy,
        prompts=lambda i: [PROMPTS[i % 4], PROMPTS[(i + 1) % 4]],
        reward=lambda cs: [float("a" in c.text.split()) for c in cs],
        annotate=annotate.chain(
            annotate.reference(reference), annotate.log_kl, annotate.kl_in_reward(weight), advantages.reinforce_pp
        ),
        iterations=5,
        group=3,
        max_tokens=5,
        epochs=2,
        minibatches=2,
        refills=2,
        shape=Shaping(scale=scale),
    )
    keep = {"kl": weight, "scale": scale}
    train(policy, PolicyGradient(), source, Optim(lr=1e-2, muon=0.01), Loop(keep=keep, save_every=0, **options))
    return weight, scale


def test_a_killed_run_keeps_its_controllers(tmp_path):
    """Killed between rollouts and in the middle of one, a run with keepers ends with the same weights, metrics and state."""
    straight, log = tiny_policy(), {}
    kept = rl(straight, observe=lambda s, m: log.__setitem__(s, {k: v for k, v in m.items() if not k.startswith("seconds")}))
    assert len({m["kl_weight"] for m in log.values()}) == 5

    for kill_at in (8, 10):
        again = {}

        def observe(step, metrics, kill_at=kill_at, again=again):
            if step > kill_at and not again.get("killed"):
                again["killed"] = True
                raise KilledError
            again[step] = {k: v for k, v in metrics.items() if not k.startswith("seconds")}

        folder = tmp_path / str(kill_at)
        with pytest.raises(KilledError):
            rl(tiny_policy(), checkpoints=folder, observe=observe)
        found = latest_checkpoint(folder)
        assert found.step == 8
        assert {"keep.kl.beta", "keep.scale.mean"} <= found.tensors.keys()
        resumed = tiny_policy(seed=9)
        restored = rl(resumed, checkpoints=folder, observe=observe)
        assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), resumed.parameters(), strict=True))
        assert {s: m for s, m in again.items() if s != "killed"} == log
        for ours, theirs in zip(kept, restored, strict=True):
            assert {k: v.tolist() for k, v in ours.state().items()} == {k: v.tolist() for k, v in theirs.state().items()}
