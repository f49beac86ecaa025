"""Rollouts: what is drawn again, what an ending costs, when a pass stops, and the parity that must hold on the first."""

from dataclasses import replace

import pytest
import torch

from tests.models.small import random_policy, tiny_policy
from trueline.core.types import Completion, Conversation, Prompt
from trueline.models.tokens import Example
from trueline.train import advantages, annotate
from trueline.train.batch import Batch, Limit
from trueline.train.loop import Beside, InvariantError, Loop, gradients, train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.optim import Optim
from trueline.train.rollout import Group, Rollouts
from trueline.train.shaping import Shaping
from trueline.train.sources import Groups

PROMPTS = [Prompt(conversation=Conversation().say("user", "a b " * (i + 1)), id=str(i)) for i in range(8)]
SAID = Completion(prompt=PROMPTS[0], text="", finish="stop")


def source(policy, **options):
    made = {
        "prompts": lambda i: [PROMPTS[i % 8], PROMPTS[(i + 1) % 8]],
        "reward": lambda cs: [float("a" in c.text.split()) for c in cs],
        "annotate": annotate.chain(annotate.kl_in_reward(0.0), advantages.rloo),
        "iterations": 3,
        "group": 3,
        "max_tokens": 5,
    }
    return Rollouts(policy=policy, **(made | options))


def ended(n, finish="stop"):
    return replace(SAID, ids=tuple(range(8, 8 + n)), finish=finish)


def test_an_ending_has_its_price():
    """What is cut off gets the reward set for it and the penalty taken off; a reply that ends keeps its score."""
    replies, rewards = [ended(3), ended(5, "length")], [0.7, 0.9]
    assert Shaping()(replies, rewards) == rewards
    assert Shaping(truncation_penalty=0.5)(replies, rewards) == pytest.approx([0.7, 0.4])
    assert Shaping(truncated_reward=-1.0)(replies, rewards) == [0.7, -1.0]
    assert Shaping(truncated_reward=0.0, truncation_penalty=0.5)(replies, rewards) == [0.7, -0.5]


def test_the_overlong_penalty_grows_over_the_last_tokens():
    """Nothing up to limit - overlong tokens, then a straight line to 1 at the limit."""
    shape = Shaping(overlong=4, limit=10)
    assert shape([ended(n) for n in (1, 6, 7, 9, 10)], [1.0] * 5) == pytest.approx([1.0, 1.0, 0.75, 0.25, 0.0])
    with pytest.raises(ValueError, match="limit of 10"):
        Shaping(overlong=11, limit=10)


def test_flat_groups_are_drawn_again():
    """Groups of equal rewards are replaced by varied ones of further draws; every draw asks its own prompts."""
    asked = []

    def prompts(index):
        asked.append(index)
        return [PROMPTS[2 * index % 8], PROMPTS[(2 * index + 1) % 8]]

    def reward(completions):  # only the fifth prompt tells its samples apart
        return [float(i) if c.prompt.id == "4" else 1.0 for i, c in enumerate(completions)]

    batch = next(source(tiny_policy(), prompts=prompts, reward=reward, refills=4).batches(0))
    assert asked == [0, 3, 6, 9, 12]
    assert len(batch.tokens) == 6
    spread = batch.columns["reward"].view(2, 3).std(-1)
    assert spread[0] > 0
    assert batch.metrics["draws"] == 5
    assert batch.metrics["zero_spread"] == pytest.approx(0.5 if (spread == 0).any() else 0.0)
    assert batch.metrics["drawn_zero_spread"] >= batch.metrics["zero_spread"]


def test_refilling_stops_when_all_groups_vary():
    """Where every group has a spread, one draw is made, and the batch is that of a run without refills."""
    reward = lambda cs: [float(i) for i, _ in enumerate(cs)]  # noqa: E731
    plain, refilled = (next(source(tiny_policy(), reward=reward, refills=n).batches(0)) for n in (0, 3))
    assert refilled.metrics["draws"] == 1
    assert torch.equal(plain.tokens, refilled.tokens)
    assert torch.equal(plain.columns["advantage"], refilled.columns["advantage"])


def test_a_group_is_flat_when_what_is_trained_on_is_equal():
    """A penalty on endings can tell samples of one score apart."""
    alike = Group(PROMPTS[0], [SAID] * 2, [1.0, 1.0], [1.0, 1.0])
    assert alike.flat
    assert not Group(PROMPTS[0], [SAID] * 2, [1.0, 1.0], [1.0, 0.5]).flat


def test_the_greedy_answer_is_the_baseline():
    """ReMax's baseline is one number a prompt: the reward of its greedy answer, shaped like the others."""
    reward = lambda cs: [float(len(set(c.ids))) for c in cs]  # noqa: E731
    policy = tiny_policy()
    batch = next(source(policy, reward=reward, greedy=True, shape=Shaping(truncation_penalty=0.25)).batches(0))
    baseline = batch.columns["baseline"].view(2, 3)
    assert (baseline == baseline[:, :1]).all()
    greedy = source(policy, group=1)._complete(PROMPTS[:2], 1, 0.0, 0).completions
    assert baseline[:, 0].tolist() == [len(set(c.ids)) - 0.25 * (c.finish == "length") for c in greedy]


def test_further_scores_are_columns_and_metrics():
    """A cost is written beside the reward, row by row, and its mean is logged."""
    batch = next(source(tiny_policy(), scores={"cost": lambda cs: [float(len(c.ids)) for c in cs]}).batches(0))
    assert batch.columns["cost"].tolist() == batch.mask.sum(-1).tolist()
    assert batch.metrics["cost"] == pytest.approx(batch.columns["cost"].mean().item())


def test_passes_end_once_the_policy_is_far_from_the_sampler():
    """After a step with `old_kl` above the bound the rest of the rollout is empty; the next rollout begins anew."""
    made = source(tiny_policy(), epochs=2, minibatches=2, iterations=2, stop_kl=0.1)
    sizes = []
    for step, batch in enumerate(made.batches(0)):
        sizes.append(len(batch.tokens))
        if len(batch.tokens):  # the loop says nothing of a step that it did not make
            made.see({"old_kl": 0.5 if step == 1 else 0.0})
    assert sizes == [3, 3, 0, 0, 3, 3, 3, 3]


def test_an_empty_batch_moves_nothing(tmp_path):
    """A step that is not made changes no weight and writes no metrics, and the run is still saved after it."""
    policy, steps = tiny_policy(), []
    made = source(policy, epochs=3, stop_kl=1e-12, iterations=2)

    def observe(step, metrics):
        steps.append(step)
        made.see(metrics)

    train(policy, PolicyGradient(), made, Optim(lr=1e-2, muon=0.01), Loop(observe=observe, checkpoints=tmp_path, save_every=0))
    assert steps == [1, 2, 4, 5]
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["step-00000003.safetensors", "step-00000006.safetensors"]


def test_a_sampler_that_is_another_model_stops_the_run_at_any_rollout():
    """One wrong log-probability stops the run, at the first rollout and at later ones, and says what to check."""
    for at in (0, 2):
        seen = []

        def wrong(batch, at=at, seen=seen):
            seen.append(1)
            old = batch.columns["old_logp"].clone()
            if len(seen) == at + 1:
                old[0, int(batch.mask[0].nonzero()[0])] += 2e-3
            return batch.having(old_logp=old)

        policy, steps = tiny_policy(), []
        made = source(policy, annotate=annotate.chain(annotate.kl_in_reward(0.0), advantages.rloo, wrong))
        with pytest.raises(InvariantError, match=r"ratio_max is 2\.00e-03, at most 1e-04.*temperature, template, dropout"):
            train(policy, PolicyGradient(), made, Optim(), Loop(observe=lambda s, m, steps=steps: steps.append(s)))
        assert len(steps) == at


def test_only_the_first_pass_must_be_on_policy():
    """The limit stands on the first batch of each rollout and on no other."""
    made = source(tiny_policy(), epochs=2, minibatches=2, iterations=2)
    assert [bool(b.limits) for b in made.batches(0)] == [True, False, False, False] * 2
    assert next(made.batches(0)).limits[0].most == 1e-4


def test_a_policy_with_dropout_is_trained_without_it():
    """GPT-2 has dropout; in RL the ratio is one all the same, step after step."""
    policy, errors = random_policy("gpt2"), []
    made = source(policy, iterations=2)
    train(policy, PolicyGradient(), made, Optim(lr=1e-3), Loop(observe=lambda s, m: errors.append(m["ratio_max"])))
    assert max(errors) < 1e-4


def test_a_limit_on_a_metric_that_is_not_there_holds():
    """Limits bind what an objective reports: others train on rollouts too."""
    batch = Batch(tokens=torch.tensor([[1, 8, 9]]), mask=torch.tensor([[False, True, True]]))
    batch = replace(batch, limits=(Limit(name="ratio_max", most=0.0, meaning="never"),))

    class One:
        def __len__(self):
            return 1

        def resumable(self, step):
            return True

        def batches(self, start):
            yield batch

    assert train(tiny_policy(), NextToken(), One(), Optim()).steps == 1


def test_replay_adds_its_own_gradient():
    """With an objective beside it, a step's gradient is the sum of the two, and its metrics are logged under its name."""
    rows = [[Example((1, 9, 10, 11, 2), (False, True, True, True, True))]]
    aside = Groups(rows=rows, epochs=9, groups=1)
    policy, twin, log = tiny_policy(), tiny_policy(), []
    optim = Optim(lr=1e-2, muon=0.0, clip=0.0)
    beside = {"replay": Beside(objective=NextToken(), source=aside, weight=0.5)}
    train(
        policy, PolicyGradient(), source(policy, iterations=1), optim, Loop(beside=beside, observe=lambda s, m: log.append(m))
    )
    batch = next(source(twin, iterations=1).batches(0))
    gradients(twin, PolicyGradient(), batch)
    loss = gradients(twin, NextToken(), next(aside.batches(0)), weight=0.5)["loss"]
    norm = torch.cat([p.grad.flatten() for p in twin.parameters()]).norm().item()
    assert log[0]["grad_norm"] == pytest.approx(norm, rel=1e-5)
    assert log[0]["replay_loss"] == pytest.approx(loss)
