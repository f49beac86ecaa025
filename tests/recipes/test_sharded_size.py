"""The plan of sharded training is held against the single process's plan, against torch, and against itself."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.checkpoint import checkpoint

from tests.models.small import random_policy, tiny_policy
from tests.recipes.test_size import saved_bytes, tokens
from trueline.models.policy import ModelError, Policy
from trueline.models.products import CHUNK
from trueline.recipes.sharded_size import ALWAYS, GB, ROOM, SIZES, Sharding, plan, sent, worlds
from trueline.recipes.size import Size
from trueline.train.annotate_teacher import Distribution
from trueline.train.objectives.distil import Divergence

SMALL = SIZES["1b"]
STATE = {"weights", "gradients", "moments", "frozen models", "teacher"}
ASKED = [
    Sharding(sequence=512, world=8),
    Sharding(sequence=512, world=8, replicas=2, rank=16, reference=True, reward=True),
    Sharding(sequence=512, world=8, recompute=True, muon=True, rollouts=32, micro_rows=4, compute=4),
    Sharding(sequence=512, world=8, replicas=2, teacher=SIZES["7b"]),
]


def items(size: Size, asked: Sharding) -> dict[str, float]:
    return {item.name: item.bytes for item in plan(size, asked).items}


def state(size: Size, asked: Sharding) -> float:
    """Bytes of all that is cut into shards."""
    return sum(held for name, held in items(size, asked).items() if name in STATE)


@pytest.mark.parametrize(("rank", "muon"), [(0, False), (0, True), (8, False)])
def test_one_process_holds_what_the_plan_of_one_process_says(rank, muon):
    """Weights, gradients and moments of one process that is alone are those of `Size.training`."""
    asked = Sharding(sequence=128, rank=rank, muon=muon)
    assert state(SMALL, asked) == SMALL.training(muon, rank)


@pytest.mark.parametrize("asked", ASKED)
def test_twice_the_processes_hold_half_of_what_is_cut(asked):
    """What is cut is halved, and nothing else changes."""
    once, twice = items(SMALL, asked), items(SMALL, replace(asked, world=2 * asked.world))
    assert once.keys() == twice.keys()
    for name, held in once.items():
        assert twice[name] == pytest.approx(held / 2 if name in STATE else held)


@pytest.mark.parametrize("asked", ASKED)
def test_replicas_hold_and_send_what_fewer_processes_would_and_their_gradients(asked):
    """A process of R replicas holds what one of world / R processes holds, and sends its shard's gradients beside."""
    alone = replace(asked, world=asked.world // 2, replicas=1)
    copied = replace(asked, world=asked.world, replicas=2)
    assert items(SMALL, copied) == items(SMALL, alone)
    shard = SMALL.gradient(asked.rank) / alone.world
    assert sent(SMALL, copied) - sent(SMALL, alone) == pytest.approx(shard)  # 2 (R - 1) / R = 1


@pytest.mark.parametrize("asked", ASKED)
def test_items_add_up_to_the_peak(asked):
    """The peak is the sum of what is there in the fullest phase, and no phase holds more."""
    found = plan(SMALL, asked)
    assert found.peak == sum(item.bytes for item in found.items if found.fullest in item.when)
    assert found.peak == max(map(found.at, ALWAYS))
    assert all(item.bytes > 0 for item in found.items)


def test_an_adapter_leaves_the_base_and_nothing_of_its_gradients():
    """With an adapter the weights are those of the base and the adapter, and only the adapter has the rest; so on the wire."""
    whole, thin = Sharding(sequence=128, world=4), Sharding(sequence=128, world=4, rank=8)
    learned = 4 * SMALL.adapter(8)
    assert state(SMALL, thin) == pytest.approx((4 * SMALL.parameters + 4 * learned) / 4)
    assert plan(SMALL, thin).checkpoint == 3 * learned
    assert plan(SMALL, whole).checkpoint == 12 * SMALL.parameters
    assert sent(SMALL, whole) - sent(SMALL, thin) == pytest.approx((4 * SMALL.parameters - learned) * 3 / 4)
    assert items(SMALL, replace(thin, reference=True))["frozen models"] == SMALL.parameters  # the base a second time


def test_frozen_models_are_weights_alone():
    """A reference and a reward model each add four bytes a parameter, cut like all else, and nothing elsewhere."""
    alone = Sharding(sequence=128, world=4)
    beside = replace(alone, reference=True, reward=True)
    added = {name: held for name, held in items(SMALL, beside).items() if held != items(SMALL, alone).get(name)}
    assert added == {"frozen models": 2 * SMALL.parameters}


def test_a_teacher_is_cut_and_reads_while_nothing_of_training_is_there():
    """Its weights are there always; what it gathers and its logits when no activation and no gradient of the student is."""
    master = SIZES["7b"]
    alone, taught = (plan(SMALL, Sharding(sequence=512, world=4, teacher=teacher)) for teacher in (None, master))
    reading = {item.name: item.bytes for item in taught.items if item.when == ("teacher",)}
    assert reading["its embedding and head, gathered"] == 2 * (master.embedding + master.width)
    assert taught.at("teacher") == alone.at("teacher") + master.frozen() / 4 + sum(reading.values())
    assert taught.at("last block") == alone.at("last block") + master.frozen() / 4
    assert not [i for i in taught.items if i.name in ("gradients", "activations", "logits") and "teacher" in i.when]
    assert taught.host - alone.host == master.frozen()
    assert taught.sent - alone.sent == pytest.approx(2 * master.parameters * 3 / 4)
    assert taught.flops - alone.flops == pytest.approx(master.forward(1, 512, 1))


@pytest.mark.parametrize("rows", [1, 4])
def test_logits_against_a_teacher_are_what_torch_holds(rows):
    """Of the student's with their gradients, and of the teacher's, by torch's count of every operation, within a hundredth."""
    size = replace(SMALL, width=64, context=CHUNK)  # so that all else is small
    planned = items(size, Sharding(sequence=CHUNK, micro_rows=rows, teacher=size))
    with FakeTensorMode(allow_non_fake_inputs=True):
        states = torch.zeros(rows * CHUNK, size.width, dtype=torch.bfloat16, requires_grad=True)
        head = torch.zeros(size.vocabulary, size.width, dtype=torch.bfloat16)
        ids, logp = torch.zeros(rows * CHUNK, 64, dtype=torch.long), torch.zeros(rows * CHUNK, 65)

        def logits():
            return nn.functional.linear(states, head).float() / 1.0

        def taught():
            parts = zip(*(x.split(CHUNK) for x in (logits(), ids[:, 0], ids, logp)), strict=True)
            sum(checkpoint(Divergence()._chunk, *part, use_reentrant=False)[0] for part in parts).backward()

        @torch.no_grad()
        def said():
            return [Distribution(64)._likeliest(part) for part in logits().split(CHUNK)]

        assert _most(taught) == pytest.approx(planned["logits"], rel=0.01)
        assert _most(said) == pytest.approx(planned["its logits"], rel=0.01)


def test_a_process_that_is_alone_sends_nothing_and_many_send_almost_all():
    """Weights twice and gradients once, times (s - 1) / s: nothing of one, half of two."""
    one, two, many = (sent(SMALL, Sharding(sequence=128, world=n, compute=4)) for n in (1, 2, 2**20))
    assert one == 0
    assert two == pytest.approx(many / 2, rel=1e-5)
    block, root = SMALL.body - SMALL.width, SMALL.embedding + SMALL.width
    assert many == pytest.approx(4 * (2 * block + root) + 4 * SMALL.parameters, rel=1e-5)


def test_sampling_holds_a_whole_copy_that_no_number_of_processes_makes_smaller():
    """The float32 copy is there always; its blocks as they compute, and the cache, while no gradient and no activation is."""
    found = plan(SMALL, Sharding(sequence=128, world=64, rollouts=16))
    when = {item.name: set(item.when) for item in found.items}
    held = {item.name: item.bytes for item in found.items}
    assert held["sampler's copy"] == 4 * SMALL.parameters
    assert held["its blocks, as computed with"] == 2 * (SMALL.body - SMALL.width)
    assert held["keys and values"] == SMALL.cache(16, 128) / 2
    assert when["sampler's copy"] == set(ALWAYS)
    assert when["keys and values"] == when["its blocks, as computed with"] == {"sampling"}
    assert not [name for name in ("gradients", "activations", "logits") if "sampling" in when[name]]


def test_making_activations_again_saves_memory_and_is_not_counted_as_work():
    """With `recompute` less is kept, down to a block's input for each layer; FLOPs by which MFU is defined stay the same."""
    kept, again = Sharding(sequence=4096), Sharding(sequence=4096, recompute=True)
    assert items(SMALL, again)["activations"] == 2 * 4096 * SMALL.layers * SMALL.width
    assert items(SMALL, kept)["activations"] == 2 * 4096 * SMALL.layers * SMALL.plain()
    assert plan(SMALL, again).peak < plan(SMALL, kept).peak
    assert plan(SMALL, again).flops == plan(SMALL, kept).flops


def test_further_passes_find_the_gradients_of_the_first():
    """Where a step has several passes, gradients are there at the loss already; the wire and the tokens count every pass."""
    once, twice = (plan(SMALL, Sharding(sequence=512, world=4, passes=n)) for n in (1, 2))
    assert twice.at("loss") - once.at("loss") == SMALL.gradient() / 4
    assert twice.at("last block") == once.at("last block")
    assert (twice.sent, twice.tokens) == (2 * once.sent, 2 * once.tokens)


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_activations_are_what_torch_keeps(monkeypatch, family):
    """With norms that keep their input alone, as on a GPU, autograd saves what the formula says, within a twentieth."""
    monkeypatch.setattr("trueline.models.native.library", lambda: None)
    monkeypatch.setattr(nn.functional, "rms_norm", lambda x, shape, weight, eps: _Norm.apply(x, weight, eps))
    (few, small), (many, large) = (_kept(family, layers) for layers in (2, 4))  # the rest is the same in both
    assert 4 * 1280 * (4 * large.plain() - 2 * small.plain()) == pytest.approx(many - few, rel=0.05)


def test_logits_are_bounded_by_their_chunk():
    """Ever longer rows need ever more activations, and no more logits than those of one chunk."""
    one, two, four = (items(SMALL, Sharding(sequence=n * CHUNK)) for n in (1, 2, 4))
    assert one["logits"] == CHUNK * SMALL.vocabulary * 6 + 2 * SMALL.vocabulary * SMALL.width
    assert two["logits"] == four["logits"] == 2 * one["logits"]
    assert four["activations"] == pytest.approx(4 * one["activations"])


def test_a_model_by_its_numbers_is_the_model():
    """The size of a Llama from its numbers is what is read off the model itself, grouped heads and a tied head included."""
    policy = random_policy("llama")
    numbers = {"layers": 2, "width": 32, "heads": 4, "key_heads": 2, "inner": 48, "vocabulary": 64}
    assert Size.llama(**numbers, tied=True, context=128) == Size.of(policy.model)
    untied = Size.llama(**numbers, context=128)
    assert untied.parameters == Size.of(policy.model).parameters + 64 * 32
    with pytest.raises(ModelError, match="a width that the heads divide"):
        Size.llama(**{**numbers, "heads": 5})


def test_named_sizes_are_about_what_they_are_called():
    """1b, 7b and 70b have so many billions of parameters, within a quarter."""
    for name, size in SIZES.items():
        assert size.parameters == pytest.approx(float(name.removesuffix("b")) * 1e9, rel=0.25)


def test_worlds_end_with_the_second_that_fits():
    """Sizes double until two fit, every one before does not, and what fits leaves room."""
    found = worlds(SIZES["7b"], Sharding(sequence=4096), 80 * GB)
    assert [world for world, _ in found] == [2**i for i in range(len(found))]
    assert [made.fits(80 * GB) for _, made in found] == [False] * (len(found) - 2) + [True] * 2
    assert found[-1][1].peak <= (1 - ROOM) * 80 * GB


def test_speed_is_flops_over_flops():
    """Tokens a second are the FLOP/s that are used over the FLOPs of a token; an adapter's take two thirds and a little."""
    found, thin = (plan(SMALL, Sharding(sequence=512, rank=rank)) for rank in (0, 16))
    assert found.speed(8, 1e15, 0.5) * found.flops == pytest.approx(4e15)
    assert found.flops == 3 * SMALL.forward(1, 512, 1)
    assert 2 / 3 < thin.flops / found.flops < 0.7


def test_numbers_that_do_not_go_together_are_refused():
    """Replicas that do not divide the world, rows longer than the model's context, and numbers below their least."""
    with pytest.raises(ModelError, match="cannot be cut into 3"):
        Sharding(sequence=128, world=4, replicas=3)
    with pytest.raises(ModelError, match="micro_rows: expected 1 or more"):
        Sharding(sequence=128, micro_rows=0)
    with pytest.raises(ModelError, match="at most 128 tokens"):
        plan(Size.of(tiny_policy().model), Sharding(sequence=129))


def _most(work) -> int:
    """The most bytes that tensors hold at one time."""
    tracker = MemTracker()
    with tracker:
        work()
    (found,) = tracker.get_tracker_snapshot("peak").values()
    return found["Total"]


def _kept(family: str, layers: int) -> tuple[int, Size]:
    """Bytes that autograd saves for rows of 40 tokens, and the model's size."""
    policy = tiny_policy(layers=layers)
    if family == "llama":
        policy = random_policy(family)
        policy.model.config.num_hidden_layers = layers
        policy = Policy(type(policy.model)(policy.model.config), policy.codec)
    return saved_bytes(policy, *tokens(32, 40)), Size.of(policy.model)


class _Norm(torch.autograd.Function):
    """A root-mean-square norm that keeps its input, and no gradient that anybody reads."""

    @staticmethod
    def forward(ctx, x, weight, eps):
        ctx.save_for_backward(x, weight)
        return x / x.square().mean(-1, keepdim=True).add(eps).sqrt() * weight

    @staticmethod
    def backward(ctx, given):
        return given, None, None
