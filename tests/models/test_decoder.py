"""Models that are read without `transformers` are the ones that it reads, and what is written it reads back."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    LlamaConfig,
    Qwen2Config,
    Qwen3Config,
)

from tests.models.small import codec, tiny_policy
from trueline.models.configuration import Config
from trueline.models.decoder import Causal, Classifier, ordinary, read
from trueline.models.policy import ModelError, Policy, RewardModel

TOKENS = torch.randint(8, 27, (3, 11), generator=torch.Generator().manual_seed(0))
SHAPE = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "pad_token_id": 0, "eos_token_id": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
}  # fmt: skip
CONFIGS = {
    "llama": lambda **more: LlamaConfig(**SHAPE, **more),
    "llama, tied": lambda **more: LlamaConfig(**SHAPE, tie_word_embeddings=True, **more),
    "qwen2": lambda **more: Qwen2Config(**SHAPE, **more),
    "qwen3": lambda **more: Qwen3Config(**SHAPE, head_dim=16, tie_word_embeddings=True, **more),
}
KINDS = {AutoModelForCausalLM: Causal, AutoModelForSequenceClassification: Classifier}


def theirs(folder: Path, name: str, kind=AutoModelForCausalLM, **saving):
    """A random model of transformers, with its tokenizer saved beside it."""
    torch.manual_seed(0)
    model = kind.from_config(CONFIGS[name](num_labels=1)).eval()
    for key, weight in model.named_parameters():  # norms and biases away from their identity, so that a slip shows
        torch.nn.init.normal_(weight, mean=float(weight.ndim == 1 and not key.endswith("bias")), std=0.2)
    model.save_pretrained(folder, **saving)
    codec().tokenizer.save_pretrained(folder)
    return model


def keys(folder: Path) -> dict[str, object]:
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_goes_both_ways(tmp_path, name):
    """Read here, saved here and read by transformers: the same tensors, the same logits, and every key of the configuration."""
    model = theirs(tmp_path / "theirs", name)
    policy = Policy.load(tmp_path / "theirs")
    assert isinstance(policy.model, Causal)
    policy.save(tmp_path / "ours")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    with torch.no_grad():
        torch.testing.assert_close(policy.logits(TOKENS), model(TOKENS).logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(again(TOKENS).logits, model(TOKENS).logits, atol=1e-5, rtol=1e-5)
    for one in (policy.model.state_dict(), again.state_dict()):
        assert all(torch.equal(one[key], tensor) for key, tensor in model.state_dict().items())
    assert keys(tmp_path / "theirs").items() <= keys(tmp_path / "ours").items()
    assert again.config.to_diff_dict() == AutoConfig.from_pretrained(tmp_path / "theirs").to_diff_dict()
    weights = [tmp_path / who / "model.safetensors" for who in ("ours", "theirs")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert again.generation_config.eos_token_id == model.generation_config.eos_token_id


@pytest.mark.parametrize("name", CONFIGS)
def test_a_classifier_goes_both_ways(tmp_path, name):
    """A reward model of transformers scores the same here, and is saved as the same tensors."""
    model = theirs(tmp_path / "theirs", name, AutoModelForSequenceClassification)
    reward = RewardModel.load(tmp_path / "theirs")
    assert isinstance(reward.model, Classifier)
    reward.save(tmp_path / "ours")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "ours")
    tokens = TOKENS.clamp(min=3)  # no padding: transformers reads the score before it
    with torch.no_grad():
        expected = model(tokens).logits[:, 0]
        torch.testing.assert_close(reward(tokens, torch.ones_like(tokens)).value[:, -1], expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(again(tokens).logits[:, 0], expected, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(again.state_dict()[key], tensor) for key, tensor in model.state_dict().items())
    assert keys(tmp_path / "theirs").items() <= keys(tmp_path / "ours").items()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CONFIGS)
def test_a_seed_gives_the_weights_that_transformers_draws(name, kind):
    """New weights are the same bit for bit, and so is every random number that is drawn after them."""
    config = CONFIGS[name](num_labels=1)
    found = []
    for make in (kind.from_config, lambda c: KINDS[kind](Config.of(c.to_dict()))):
        torch.manual_seed(3)
        found.append({**make(config).state_dict(), "next": torch.rand(4)})
    assert list(found[0]) == list(found[1])
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def test_what_a_config_lacks_is_what_transformers_takes():
    """Absent keys have its defaults, and the older names of rotary parameters mean what they did."""
    for theta in ({}, {"rope_theta": 1e6}, {"rope_theta": 1e6, "rope_scaling": None}, SHAPE["rope_parameters"]):
        for model_type in ("llama", "qwen2", "qwen3"):
            values = {"model_type": model_type, "num_hidden_layers": 2, **theta}
            expected, ours = AutoConfig.for_model(**values), Config.of(values)
            for key, value in vars(ours).items():
                if key in ("model_type", "rope_scaling", "rope_theta"):
                    continue
                assert getattr(expected, key) == value, (model_type, key)
            assert ours.num_labels == expected.num_labels


def test_keys_that_nobody_knows_are_kept(tmp_path):
    """Whatever else a configuration says stands in the saved one too; only what is true of the weights is written anew."""
    theirs(tmp_path / "theirs", "llama")
    values = keys(tmp_path / "theirs") | {"made_by": {"us": [1, 2]}, "rope_theta": 77.0, "torch_dtype": "bfloat16"}
    values.pop("dtype")
    (tmp_path / "theirs" / "config.json").write_text(json.dumps(values))
    generation = {"eos_token_id": [2, 9], "temperature": 0.6, "do_sample": True}
    (tmp_path / "theirs" / "generation_config.json").write_text(json.dumps(generation))
    policy = Policy.load(tmp_path / "theirs")
    assert policy.codec.stop_ids == {2, 9}
    policy.save(tmp_path / "ours")
    values.pop("torch_dtype")
    assert (values | {"dtype": "float32"}).items() <= keys(tmp_path / "ours").items()
    assert json.loads((tmp_path / "ours" / "generation_config.json").read_text()) == generation


def test_a_model_in_parts_is_read_and_saved_as_one(tmp_path):
    """Shards are found by their index; where the whole is saved over them they are gone."""
    model = theirs(tmp_path, "llama", max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    policy = Policy.load(tmp_path)
    assert isinstance(policy.model, Causal)
    policy.save(tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors*")] == ["model.safetensors"]
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert all(torch.equal(again.state_dict()[key], tensor) for key, tensor in model.state_dict().items())


def test_half_precision_is_read_as_single(tmp_path):
    """Weights of another type become float32, as every model here is."""
    model = AutoModelForCausalLM.from_config(CONFIGS["llama"]()).to(torch.bfloat16)
    model.save_pretrained(tmp_path)
    ours = read(tmp_path, Causal)
    assert all(torch.equal(ours.state_dict()[key], tensor.float()) for key, tensor in model.state_dict().items())


def test_missing_weights_are_named(tmp_path):
    """A folder without one of its tensors is refused by the tensor's name."""
    theirs(tmp_path, "llama")
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights of a LlamaForCausalLM \(model.layers.1.mlp.up_proj.weight\)"):
        Policy.load(tmp_path)


def test_a_classifier_is_no_language_model(tmp_path):
    """Each kind of folder is refused as the other kind, where a head is missing."""
    theirs(tmp_path / "classifier", "llama", AutoModelForSequenceClassification)
    theirs(tmp_path / "causal", "llama")
    with pytest.raises(ModelError, match=r"lm_head\.weight"):
        Policy.load(tmp_path / "classifier")
    with pytest.raises(ModelError, match=r"score\.weight"):
        RewardModel.load(tmp_path / "causal")


def test_a_tied_head_may_be_written_twice(tmp_path):
    """Some folders hold the tied matrix under both names: it is one matrix here, and is written once."""
    theirs(tmp_path, "qwen3")
    weights = load_file(tmp_path / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    policy = Policy.load(tmp_path)
    assert policy.model.lm_head.weight is policy.model.model.embed_tokens.weight
    policy.save(tmp_path)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as saved:
        assert "lm_head.weight" not in saved.keys()  # noqa: SIM118  (a file, not a mapping)


@pytest.mark.parametrize(
    "change",
    [
        {"quantization_config": {"quant_method": "bitsandbytes"}},
        {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
        {"attention_bias": True},
        {"hidden_act": "gelu"},
        {"model_type": "gpt2"},
        {"hidden_size": "wide"},
        {"vocab_size": 65},
    ],
)
def test_an_unusual_folder_is_left_to_transformers(tmp_path, change):
    """What is not read exactly here is not read here at all."""
    theirs(tmp_path, "llama")
    assert read(tmp_path, Causal) is not None
    (tmp_path / "config.json").write_text(json.dumps(keys(tmp_path) | change))
    assert read(tmp_path, Causal) is None


@pytest.mark.parametrize("name", CONFIGS)
def test_the_twin_has_the_same_tensors(tmp_path, name):
    """Turned into a model of transformers no weight is copied, and nothing is drawn."""
    theirs(tmp_path, name)
    policy, state = Policy.load(tmp_path), torch.random.get_rng_state()
    twin = ordinary(policy.model)
    assert torch.equal(state, torch.random.get_rng_state())
    assert {p.data_ptr() for p in twin.parameters()} == {p.data_ptr() for p in policy.model.parameters()}
    with torch.no_grad():
        torch.testing.assert_close(twin(TOKENS).logits, policy.logits(TOKENS), atol=1e-5, rtol=1e-5)


def test_starting_loads_no_modelling_code(tmp_path):
    """Making, reading, running and writing a model of a known family import nothing that takes long to import."""
    tiny_policy().save(tmp_path / "model")
    program = f"""
import sys
from pathlib import Path
import torch
from trueline.core.types import Conversation
from trueline.models.policy import Policy, RewardModel, tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.size import model_of
policy = Policy.load({str(tmp_path / "model")!r})
tokens = torch.tensor([[1, 9, 10, 2]])
policy(tokens, torch.ones_like(tokens), frozenset({{"logp"}})).logp.sum().backward()
policy.frozen()
policy.codec.example(Conversation().say("user", "a b").say("assistant", "c"))
RewardModel.start_from(policy).save(Path({str(tmp_path / "reward")!r}))
RewardModel.load({str(tmp_path / "reward")!r})
tiny(word_tokenizer(["<pad>", "<bos>", "<eos>"]), 32, 1, 2, 64).save(Path({str(tmp_path / "new")!r}))
assert model_of({str(tmp_path / "new")!r}, {{}}).size is not None
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    heavy = {"torch._dynamo", "sympy", "scipy", "accelerate", "peft", "transformers", "transformers.modeling_utils"}
    assert not heavy.intersection(done.stdout.split())
