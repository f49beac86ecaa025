"""Ranks that share a model's weights train it as one process does."""

import importlib.util
from contextlib import nullcontext

import pytest
import torch

from tests.models.small import codec, random_policy
from tests.ranks import together
from tests.train.test_crew import batch
from tests.train.test_rollout import source as rollouts
from trueline.models.adapters import Adapter
from trueline.models.forked import helpers_of
from trueline.models.policy import Policy, RewardModel, tiny
from trueline.models.residual import Seeing
from trueline.models.tokens import Example
from trueline.train import advantages, annotate
from trueline.train.annotate_preference import remember
from trueline.train.critic import ActorCritic
from trueline.train.loop import Loop, train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.objectives.ppo import PPO
from trueline.train.objectives.preference import DPO
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.objectives.reward import BradleyTerry
from trueline.train.optim import Optim
from trueline.train.team import reading

pytestmark = pytest.mark.slow
STEPS, SIZES = 6, (1, 2, 4)
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
PEFT = importlib.util.find_spec("peft") is not None


class Steps:
    """The same rows for whoever asks; what the model and its reference say of them is read anew."""

    def __init__(self, group, model, reference=None, steps=STEPS):
        self.group, self.model, self.steps = group, model, steps
        self.columns = [] if reference is None else [annotate.reference(reference)]
        if not isinstance(model, RewardModel) and reference is not None:
            self.columns += [annotate.column("old_logp", model)]

    def __len__(self):
        return self.steps

    def resumable(self, step):
        return True

    def batches(self, start):
        for step in range(start, self.steps):
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


def losses(mesh, name, optim=None, micro_rows=0, dtype="float32"):
    """Train; the loss and the gradient's norm of every step, and what the weights came to."""
    objective, group, kind = CASES[name]
    model, policy = model_of(kind)
    for network in {model, policy}:
        if hasattr(network, "compute_in"):
            network.compute_in(getattr(torch, dtype))
    found, said = [], []
    loop = Loop(
        micro_rows=micro_rows, mesh=mesh, observe=lambda step, m: found.append([m["total"], m["grad_norm"]]), say=said.append
    )
    train(model, objective, Steps(group, model, policy.frozen(), steps=4), Optim(**(optim or {})), loop)
    # What a key's bias adds to all scores of a query alike changes nothing: its gradient is rounding, which Adam makes a step.
    weights = [float(p.detach().double().sum()) for n, p in model.named_parameters() if not n.endswith("c_attn.bias")]
    return {"steps": found, "weights": weights, "said": said}


def every(mesh, cases):
    """The losses of several cases, one after another in one launch."""
    return {label: losses(mesh, **given) for label, given in cases.items()}


def assert_same(one, other):
    """All losses, norms and weights are the same within 1e-5, but for what is as large as they are."""
    for key in ("steps", "weights"):
        torch.testing.assert_close(torch.tensor(one[key]), torch.tensor(other[key]), atol=1e-5, rtol=1e-5)
    assert one["said"] == other["said"] == []


@pytest.fixture(scope="module")
def trained():
    """Every case on 1, 2 and 4 ranks, and on 2 x 2 with replicas; where blocks are computed again; in bfloat16."""
    cases = {name: {"name": name} for name in CASES}
    cases["in pieces"] = {"name": "policy gradient", "micro_rows": 4}
    cases["adamw"] = {"name": "likelihood", "optim": {"muon": 0.0}}
    cases["half"] = {"name": "likelihood", "dtype": "bfloat16"}
    found = {size: together(size, every, cases=cases) for size in SIZES}
    some = {name: cases[name] for name in ("likelihood", "pairs", "critic", "half")}
    found["replicas"] = together(4, every, {"replicas": 2}, cases=some)
    found["again"] = together(2, every, {"again": True}, cases=some | {"another family": cases["another family"]})
    return found


@pytest.mark.parametrize("name", [*CASES, "in pieces", "adamw"])
def test_one_two_and_four_ranks_give_the_same_losses(name, trained):
    """Every loss, every gradient's norm and the weights at the end are the same within 1e-5, whatever the number of ranks."""
    assert_same(trained[1][name], trained[2][name])
    assert_same(trained[1][name], trained[4][name])


def test_pieces_change_nothing(trained):
    """A step in pieces, of which ranks have unequal numbers, gives what the step in one gives."""
    for size in SIZES:
        assert_same(trained[size]["policy gradient"], trained[size]["in pieces"])


@pytest.mark.parametrize("name", ["likelihood", "pairs", "critic"])
def test_replicas_give_the_same_losses(name, trained):
    """Two copies of the model, each on two ranks, give what one copy on four gives."""
    assert_same(trained[4][name], trained["replicas"][name])


@pytest.mark.parametrize("name", ["likelihood", "pairs", "critic", "another family"])
def test_blocks_that_are_computed_again_give_the_same_losses(name, trained):
    """Activation checkpointing changes memory, not the result."""
    assert_same(trained[2][name], trained["again"][name])


def test_bfloat16_is_near_float32_on_any_number_of_ranks(trained):
    """What is gathered and computed in bfloat16, with gradients summed in float32, stays within 2 % of float32."""
    exact = torch.tensor(trained[1]["likelihood"]["steps"])[:, 0]
    for run in (trained[1], trained[2], trained[4], trained["replicas"], trained["again"]):
        half = torch.tensor(run["half"]["steps"])[:, 0]
        assert not torch.equal(half, exact)
        torch.testing.assert_close(half, exact, atol=0.0, rtol=0.02)


def test_ranks_give_the_losses_of_a_process_alone(trained):
    """With AdamW, whose arithmetic is the same in both, ranks give what a run without them gives."""
    alone = losses(None, "likelihood", optim={"muon": 0.0})
    assert_same(alone, trained[2]["adamw"])


def adapted(mesh, base):
    """Train an adapter on the model of a folder by pairs, beside the model without it; the losses, and what was saved."""
    torch.manual_seed(0)
    policy = Policy.load(base).adapt(Adapter(rank=4, targets=("q_proj", "v_proj")))
    reference, found = policy.frozen(), []
    loop = Loop(mesh=mesh, observe=lambda step, m: found.append([m["total"], m["grad_norm"]]))
    train(policy, DPO(), Steps(2, policy, reference), Optim(muon=0.0, lr=1e-2), loop)
    return {"steps": found, "weights": [float(p.detach().double().sum()) for p in policy.parameters()], "said": []}


@pytest.mark.skipif(not PEFT, reason="adapters need the extra `lora`")
def test_an_adapter_is_trained_on_sharded_weights(tmp_path):
    """LoRA: base and reference are sharded and stand still, and the adapter learns as it does in one process."""
    random_policy("qwen3").save(tmp_path / "base")
    alone, two = adapted(None, tmp_path / "base"), together(2, adapted, base=str(tmp_path / "base"))
    assert_same(alone, two)


def online(mesh, iterations=3, base=""):
    """Train on rollouts, sampled and read by every rank (an adapter, where there is a base); rewards, losses and KL."""
    torch.manual_seed(3)
    policy, found = tiny(codec().tokenizer, 32, 2, 4, 128), []
    if base:
        policy = Policy.load(base).adapt(Adapter(rank=4))
    chain = annotate.chain(annotate.reference(policy.frozen()), annotate.log_kl, annotate.kl_in_reward(0.1), advantages.rloo)
    source = rollouts(
        policy, annotate=chain, iterations=iterations, group=8, max_tokens=32, epochs=2,  # enough for ranks to be asked
        reward=lambda said: [float(len(set(c.ids))) for c in said],
    )  # fmt: skip
    loop = Loop(mesh=mesh, observe=lambda step, m: found.append([m["reward"], m["total"], m["kl"]]))
    train(policy, PolicyGradient(), source, Optim(lr=1e-3, muon=0.0), loop)
    return found


def test_rollouts_are_drawn_by_every_rank_and_are_the_same():
    """Reinforcement learning on two ranks, each sampling for some of the prompts, goes as it does in one process."""
    torch.testing.assert_close(torch.tensor(together(2, online)), torch.tensor(online(None)), atol=1e-5, rtol=1e-4)


@pytest.mark.skipif(not PEFT, reason="adapters need the extra `lora`")
def test_an_adapter_is_sampled_by_every_rank_as_it_is_now(tmp_path):
    """The base is sent to a rank's copy once, and the adapter after every update: rollouts go as in one process."""
    torch.manual_seed(3)
    tiny(codec().tokenizer, 32, 2, 4, 128).save(tmp_path / "base")
    alone, two = online(None, base=tmp_path / "base"), together(2, online, base=str(tmp_path / "base"))
    torch.testing.assert_close(torch.tensor(two), torch.tensor(alone), atol=1e-5, rtol=1e-4)
    assert alone[-1] != alone[0]


def seen(mesh):
    """Train, and look at the whole model between two steps as a recipe may; what it said, and what one that was moved says."""
    policy, found = tiny(codec().tokenizer, 32, 2, 4, 128), []
    given = batch(4)

    class Looking(Steps):
        def batches(self, start):
            for step in super().batches(start):
                with torch.no_grad():
                    found.append(float(policy(given.tokens, given.mask, frozenset({"logp"})).logp.sum()))
                yield step

    train(policy, NextToken(), Looking(1, policy), Optim(muon=0.0), Loop(mesh=mesh))
    return found


def test_whoever_looks_at_the_whole_model_sees_the_weights_of_now():
    """Between steps the model that a recipe has in its hands says what it says in a run of one process."""
    torch.manual_seed(0)
    alone = seen(None)
    torch.manual_seed(0)
    torch.testing.assert_close(torch.tensor(together(2, seen)), torch.tensor(alone), atol=1e-4, rtol=1e-5)
    assert len(set(alone)) == STEPS


def remembered(mesh):
    """What a model says of examples, read by all ranks; whether they were asked, and whether anything stays behind."""
    policy = tiny(codec().tokenizer, 32, 2, 4, 128)
    given = batch(12)
    lengths = given.columns["length"].tolist()
    rows = zip(given.tokens.tolist(), given.mask.tolist(), lengths, strict=True)
    examples = [Example(tuple(t[:n]), tuple(m[:n])) for t, m, n in rows]
    with reading(mesh, policy) if mesh else nullcontext():
        asked = helpers_of.get(policy) is not None
        table = remember(policy, examples)
    assert helpers_of.get(policy) is None
    return {"asked": asked, "sums": [float(logp.sum()) for logp in table.values()]}


def test_what_a_reference_says_is_read_by_all_ranks():
    """Before training, too, a model is sharded and each rank reads some rows; the table is that of one process."""
    torch.manual_seed(0)
    alone = remembered(None)
    torch.manual_seed(0)
    found = together(2, remembered)
    assert (alone["asked"], found["asked"]) == (False, True)
    torch.testing.assert_close(torch.tensor(found["sums"]), torch.tensor(alone["sums"]), atol=1e-5, rtol=1e-5)
