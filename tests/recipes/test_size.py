"""Sizes are read without making weights, and FLOPs and bytes are those of the model itself."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.models.small import random_policy, tiny_policy
from trueline.models.adapters import Adapter
from trueline.models.policy import ModelError, Policy, tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.pretrain import Pretrain
from trueline.recipes.size import Size, fresh, model_of
from trueline.world.language import vocabulary

LOGP = frozenset({"logp"})


def tokens(rows, length):
    ids = torch.randint(3, 20, (rows, length))
    return ids, torch.ones_like(ids, dtype=torch.bool)


def saved_bytes(policy, ids, mask):
    """What autograd keeps after a forward pass, each block of memory once, parameters apart."""
    parameters = {p.untyped_storage().data_ptr() for p in policy.parameters()}
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        total = policy(ids, mask, LOGP).logp.sum()
    assert total.requires_grad
    return sum(s.nbytes() for at, s in kept.items() if at not in parameters)


@pytest.mark.parametrize("name", ["small", "large", "llama", "qwen2"])
def test_what_is_kept_for_the_backward_pass_is_known(name):
    """The bytes that autograd saves are within a tenth of the formula, for several shapes and families."""
    models = {"small": lambda: tiny_policy(), "large": lambda: tiny_policy(width=128, layers=4)}
    policy = models[name]() if name in models else random_policy(name)
    expected = Size.of(policy.model).kept(32 * 40, 32 * 40)
    assert saved_bytes(policy, *tokens(32, 40)) == pytest.approx(expected, rel=0.1)


def test_flops_are_those_that_torch_counts():
    """For matrix products the formula and torch's own counter agree within a twentieth; attention is counted as causal."""
    policy = tiny_policy(width=128, layers=4)
    ids, mask = tokens(8, 40)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        policy(ids, mask, LOGP)
    products = sum(n for op, n in counter.get_flop_counts()["Global"].items() if "attention" not in str(op))
    size = Size.of(policy.model)
    assert size.forward(8 * 40, 0, 8 * 39) == pytest.approx(products, rel=0.05)
    assert size.forward(320, 40, 0) - size.forward(320, 0, 0) == 2 * 4 * 128 * 40 * 320


def test_a_new_model_is_sized_without_being_made():
    """The default model of the world has the parameters that `tiny` gives it, and no random number is drawn."""
    state = torch.random.get_rng_state()
    found = fresh(Pretrain())
    assert torch.equal(state, torch.random.get_rng_state())
    real = tiny(word_tokenizer(vocabulary()))
    assert found.size == Size.of(real.model)
    assert found.size.parameters == sum(p.numel() for p in real.parameters())
    assert found.codec.ids("how do you") == real.codec.ids("how do you")


def test_a_tokenizer_to_be_trained_is_not_known_but_its_size_is():
    """For a model on new text the vocabulary counts, and there is no codec."""
    small, large = fresh(Pretrain(text="a.txt", vocabulary=512)), fresh(Pretrain(text="a.txt", vocabulary=2048))
    assert small.codec is None
    assert large.size.parameters - small.size.parameters == (2048 - 512) * 128


def test_a_folder_is_read_by_its_configuration(tmp_path):
    """Sizes come from config.json, the tokenizer from the folder."""
    policy = tiny_policy()
    policy.save(tmp_path / "model")
    found = model_of(str(tmp_path / "model"), {})
    assert found.size == Size.of(policy.model)
    assert found.size.context == 128
    assert found.codec.ids("a b") == policy.codec.ids("a b")


def test_references_are_stages_first_and_else_must_exist():
    """A stage's name is that stage's model; a name that is nothing is an error that says what would be something."""
    known = fresh(Pretrain())
    assert model_of("pretrain", {"pretrain": known}) is known
    with pytest.raises(ModelError, match="neither an earlier stage of this plan nor a run or a folder"):
        model_of("pretrain", {})


def test_an_adapter_is_counted_to_the_parameter(tmp_path):
    """On the Llama and Qwen families the formula has every parameter that an adapter on all linear layers has."""
    pytest.importorskip("peft", reason="adapters need the extra `lora`")
    for name in ("llama", "qwen2"):
        random_policy(name).save(tmp_path / name)
        policy = Policy.load(tmp_path / name).adapt(Adapter(rank=3))
        learns = sum(p.numel() for p in policy.parameters() if p.requires_grad)
        size = model_of(str(tmp_path / name), {}).size
        assert size.adapter(3) == learns
        assert size.training(False, rank=3) == 4 * (size.parameters + 4 * learns)
        policy.save(tmp_path / f"{name}-adapter")
        assert model_of(str(tmp_path / f"{name}-adapter"), {}).size == size


def test_an_adapter_keeps_no_more_for_the_backward_pass(tmp_path):
    """What autograd saves under an adapter is at most what the plan counts, and at least two thirds of it."""
    pytest.importorskip("peft", reason="adapters need the extra `lora`")
    random_policy("llama").save(tmp_path)
    policy = Policy.load(tmp_path).adapt(Adapter(rank=4))
    assert (
        0.66 < saved_bytes(policy, *tokens(32, 40)) / Size.of(random_policy("llama").model).kept(1280, 1280, adapted=True) < 1
    )
