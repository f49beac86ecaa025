"""Ranks that share a model's weights train it as one process does."""

import pytest
import torch

from tests.models.small import codec, random_policy
from tests.ranks import together
from tests.train.test_crew import batch
from trueline.models.policy import RewardModel, tiny
from trueline.models.residual import Seeing
from trueline.train import annotate
from trueline.train.critic import ActorCritic
from trueline.train.loop import Loop, train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.objectives.ppo import PPO
from trueline.train.objectives.preference import DPO
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.objectives.reward import BradleyTerry
from trueline.train.optim import Optim

pytestmark = pytest.mark.slow
STEPS, SIZES = 6, (1, 2, 4)
HERE = "tests.train.test_team"
CASES = {  # objective, rows of a group, model
    "likelihood": (NextToken(), 1, "tiny"),
    "another family": (NextToken(), 1, "gpt2"),
    "pairs": (DPO(), 2, "qwen2"),
    "policy gradient": (PolicyGradient(kl=0.1), 4, "tiny"),
    "value head": (PPO(), 1, "tiny+value"),
    "critic": (PPO(), 1, "tiny+critic"),
    "reward": (BradleyTerry(), 2, "tiny+reward"),
    "states": (NextToken(), 1, "tiny+seeing"),
}


class Steps:
    """The same rows for whoever asks; what the model and its reference say of them is read anew."""

    def __init__(self, group, model, reference):
        self.group, self.model = group, model
        self.columns = [annotate.reference(reference)]
        if not isinstance(model, RewardModel):
            self.columns += [annotate.column("old_logp", model)]

    def __len__(self):
        return STEPS

    def resumable(self, step):
        return True

    def batches(self, start):
        for step in range(start, STEPS):
            given = batch(8, self.group, seed=step)
            self.model.eval()
            given = annotate.chain(*self.columns)(given)
            self.model.train()
            wide = torch.randn(given.tokens.shape, generator=torch.Generator().manual_seed(step)) * given.mask
            yield given.having(advantage=wide, old_value=wide, returns=-wide)


def model_of(kind):
    """The model that is trained, and the policy in it."""
    family, _, more = kind.partition("+")
    torch.manual_seed(3)
    policy = tiny(codec().tokenizer, 32, 2, 4, 128) if family == "tiny" else random_policy(family)
    if family == "gpt2":  # what is dropped would depend on who drops it
        policy.model.config.update({"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0})
        policy.eval().apply(lambda m: setattr(m, "p", 0.0) if isinstance(m, torch.nn.Dropout) else None)
    if more == "value":
        policy.add_value_head()
    made = {"critic": lambda: ActorCritic(policy, RewardModel.start_from(policy)), "seeing": lambda: Seeing(policy, [1])}
    made["reward"] = lambda: RewardModel.start_from(policy)
    return made.get(more, lambda: policy)(), policy


def losses(mesh, name, optim=None, micro_rows=0):
    """Train; the loss and the gradient's norm of every step, and what the weights came to."""
    objective, group, kind = CASES[name]
    model, policy = model_of(kind)
    found, said = [], []
    loop = Loop(
        micro_rows=micro_rows, mesh=mesh, observe=lambda step, m: found.append([m["total"], m["grad_norm"]]), say=said.append
    )
    train(model, objective, Steps(group, model, policy.frozen()), Optim(**(optim or {})), loop)
    return {"steps": found, "weights": [float(p.detach().double().sum()) for p in model.parameters()], "said": said}


def same(one, other):
    """All losses, norms and weights are the same within 1e-5."""
    for key in ("steps", "weights"):
        torch.testing.assert_close(torch.tensor(one[key]), torch.tensor(other[key]), atol=1e-5, rtol=1e-5)
    assert one["said"] == other["said"] == []


@pytest.mark.parametrize("name", CASES)
def test_one_two_and_four_ranks_give_the_same_losses(name):
    """Every loss, every gradient's norm and the weights at the end are the same within 1e-5, whatever the number of ranks."""
    one, two, four = (together(size, f"{HERE}:losses", name=name) for size in SIZES)
    same(one, two)
    same(one, four)


@pytest.mark.parametrize("name", ["likelihood", "pairs", "critic"])
def test_ranks_give_the_losses_of_a_process_alone(name):
    """With AdamW, whose arithmetic is the same in both, two ranks give what `trueline run` without them gives."""
    alone = losses(None, name, optim={"muon": 0.0})
    same(alone, together(2, f"{HERE}:losses", name=name, optim={"muon": 0.0}))


def every(mesh, names, **given):
    """The losses of several cases, one after another."""
    return {name: losses(mesh, name, **given) for name in names}
