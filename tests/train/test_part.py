"""What one rank does in a step in which it has no rows of its own, and with a model that it first meets in training."""

import pytest
import torch

from tests.ranks import together
from tests.train.test_crew import batch
from tests.train.test_team import model_of
from trueline.models.generate import sample
from trueline.train import annotate
from trueline.train.loop import Loop, train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.objectives.ppo import PPO
from trueline.train.optim import Optim

pytestmark = pytest.mark.slow


class OneRow:
    """Two steps of a row each: too little for two ranks."""

    def __init__(self, model):
        self.old = annotate.column("old_logp", model)

    def __len__(self):
        return 2

    def resumable(self, step):
        return True

    def batches(self, start):
        for step in range(start, 2):
            given = self.old(batch(1, 1, seed=step))
            wide = torch.randn(given.tokens.shape, generator=torch.Generator().manual_seed(step)) * given.mask
            yield given.having(advantage=wide, old_value=wide, returns=-wide)


def losses(mesh, kind, value_weight):
    """Train a policy and its critic; every step's loss and norm."""
    model, found = model_of(kind)[0], []
    loop = Loop(mesh=mesh, observe=lambda step, m: found.append([m["total"], m["grad_norm"]]))
    train(model, PPO(value_weight=value_weight), OneRow(model), Optim(muon=0.0), loop)
    return found


def every(mesh):
    """With a head on the policy and with a critic of its own, that learn and that do not."""
    return [losses(mesh, kind, weight) for kind in ("tiny+value", "tiny+critic") for weight in (0.1, 0.0)]


def test_a_rank_without_rows_moves_what_the_others_move():
    """It takes part in the sums of what the loss weighs, and in no other: else ranks would wait for each other for ever."""
    torch.testing.assert_close(torch.tensor(together(2, every)), torch.tensor(together(1, every)), atol=1e-5, rtol=1e-5)


def met(mesh):
    """Train one model by what another says, which annotations have read before; its samples, and the losses."""
    model, other = model_of("tiny")[0], model_of("tiny")[0].requires_grad_(False)
    annotate.column("other_logp", other)
    found, said = [], []

    class Sampling(OneRow):
        def batches(self, start):
            for given in super().batches(start):
                said.append([one.ids for group in sample(other, [[1, 5], [1, 6, 7]], count=8, max_tokens=16) for one in group])
                yield given

    loop = Loop(mesh=mesh, observe=lambda step, m: found.append(m["total"]))
    train(model, NextToken(), Sampling(model), Optim(muon=0.0), loop)
    return {"said": said, "losses": found}


def test_a_model_that_is_first_met_in_training_is_sampled_from():
    """Whoever else was read before, in another stage, is asked like the model that is trained."""
    two, one = together(2, met), together(1, met)
    assert two["said"] == one["said"]
    assert two["losses"] == pytest.approx(one["losses"], abs=1e-5)
