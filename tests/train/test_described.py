"""What other processes are told of models and objectives is enough to build the same."""

import dataclasses
import json
from types import SimpleNamespace

import pytest
import torch

from tests.models.small import codec, random_policy
from trueline.cluster.sharding import emptied
from trueline.core.registry import plugins
from trueline.models.decoder import ordinary
from trueline.models.perturbed import Perturbed
from trueline.models.policy import Policy, RewardModel, tiny
from trueline.models.residual import Seeing
from trueline.recipes.running import recipes
from trueline.train.critic import ActorCritic
from trueline.train.described import UntoldError, build, describe, settings_built, settings_told, units
from trueline.train.objectives.ppo import PPO
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.optim import Optim

TOKENS = torch.randint(8, 27, (3, 12), generator=torch.Generator().manual_seed(1))
MASK = torch.ones_like(TOKENS, dtype=torch.bool).index_fill(1, torch.tensor([0]), False)


def small():
    return tiny(codec().tokenizer, 32, 2, 4, 128)


def valued():
    policy = small()
    policy.add_value_head()
    torch.nn.init.normal_(policy.value_head.weight)
    return policy


MODELS = {
    "ours": (small, "logp"),
    "transformers": (lambda: random_policy("gpt2"), "logp"),
    "grouped heads": (lambda: random_policy("llama"), "logp"),
    "value head": (valued, "value"),
    "reward": (lambda: RewardModel.start_from(small()), "value"),
    "critic": (lambda: ActorCritic(small(), RewardModel.start_from(small())), "value"),
    "states": (lambda: Seeing(small(), [0, 1]), "hidden"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_built_again_from_what_is_told(name):
    """Through JSON; with the same weights it says the same, has the same names, and the same weights learn."""
    model, what = MODELS[name][0]().eval(), MODELS[name][1]
    next(model.parameters()).requires_grad_(False)
    twin = build(json.loads(json.dumps(describe(model))))
    assert all(p.is_meta for p in twin.parameters())
    assert [(n, p.shape, p.requires_grad) for n, p in twin.named_parameters()] == [
        (n, p.shape, p.requires_grad) for n, p in model.named_parameters()
    ]
    emptied(twin, torch.device("cpu"))
    with torch.no_grad():
        for ours, theirs in zip((*model.parameters(), *model.buffers()), (*twin.parameters(), *twin.buffers()), strict=True):
            theirs.copy_(ours)
        said = [getattr(m(TOKENS, MASK, frozenset({what})), what) for m in (model, twin)]
    assert torch.equal(*said)


def test_weights_are_float32_whatever_the_folder_was_written_in():
    """An adapter's base keeps the dtype of its config.json, which is not that of the weights that were read."""
    model = Policy(ordinary(small().model), codec())
    model.model.config.dtype = torch.bfloat16
    assert {p.dtype for p in build(json.loads(json.dumps(describe(model)))).parameters()} == {torch.float32}


def test_a_model_whose_blocks_nobody_counts_is_one_unit():
    """A configuration in parts (text and image) has no number of blocks."""
    model = random_policy("gpt2")
    model.model.config = SimpleNamespace()
    assert [(network, blocks) for network, blocks, _ in units(model)] == [(model, [])]


@pytest.mark.parametrize("name", MODELS)
def test_every_block_is_a_unit(name):
    """Each network inside has its two blocks to be gathered one by one."""
    for _, blocks, _ in units(build(describe(MODELS[name][0]()))):
        assert len(blocks) == 2


def test_a_model_that_cannot_be_told_is_named():
    """A table of targets is no configuration: whoever asks is told that one process trains it."""
    with pytest.raises(UntoldError, match="a Perturbed is trained by one process"):
        describe(Perturbed(small(), layers=[1], radius=0.1, steps=1, targets={}))


def objectives():
    recipes()  # they are registered where they are used
    return [*plugins("objective").values(), PPO, PolicyGradient]


@pytest.mark.parametrize("kind", objectives(), ids=lambda kind: kind.__name__)
def test_every_objective_is_built_again_from_what_is_told(kind):
    """Through JSON, nested ones too."""
    made = kind()
    assert settings_built(json.loads(json.dumps(settings_told(made)))) == made


def test_settings_are_told_as_they_are():
    """Not their defaults."""
    made = dataclasses.replace(PPO(), policy=PolicyGradient(clip=0.1, form="cispo"), value_clip=0.3)
    assert settings_built(json.loads(json.dumps(settings_told(made)))) == made
    assert settings_built(settings_told(Optim(lr=0.5))) == Optim(lr=0.5)


@pytest.mark.parametrize("named", ["subprocess:Popen", "trueline.core.files:file_hash", "os:system", "trueline.nothing:X"])
def test_nothing_else_is_built(named):
    """A class of another package, and what is no dataclass, is refused, whatever another process says."""
    with pytest.raises((UntoldError, ModuleNotFoundError)):
        settings_built({"class": named, "fields": {}})
