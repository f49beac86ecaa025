"""The config.json of Llama, Qwen2 and Qwen3: every key that it has, and what `transformers` takes for those that it lacks.

    config = Config.of(json.loads(Path("model/config.json").read_text()))
    config.hidden_size

`tests/models/test_decoder.py` compares what is filled in with what the installed `transformers` fills in.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# What `transformers` takes for keys that a config.json lacks; what follows from other keys is in `Config.of`.
COMMON: Mapping[str, object] = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-6,
    "attention_dropout": 0.0,
    "use_cache": True,
    "tie_word_embeddings": False,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}
LLAMA = {"vocab_size": 32000, "intermediate_size": 11008, "max_position_embeddings": 2048, "num_key_value_heads": None}
QWEN = {"vocab_size": 151936, "intermediate_size": 22016, "max_position_embeddings": 32768, "num_key_value_heads": 32}
LLAMA |= {"bos_token_id": 1, "eos_token_id": 2, "attention_bias": False, "mlp_bias": False, "head_dim": None}
QWEN |= {"use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28}
FAMILIES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "llama": ("Llama", {**COMMON, **LLAMA}),
    "qwen2": ("Qwen2", {**COMMON, **QWEN}),
    "qwen3": ("Qwen3", {**COMMON, **QWEN, "attention_bias": False, "head_dim": 128}),
}


class Config(SimpleNamespace):
    """A config.json: every key that it has as an attribute, and what `transformers` takes for those that it lacks."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Config:
        """Fill in what is missing. Raises KeyError or TypeError for what is no configuration of a family known here."""
        config = cls(**{**FAMILIES[values["model_type"]][1], **values})
        if config.num_key_value_heads is None:
            config.num_key_value_heads = config.num_attention_heads
        if getattr(config, "head_dim", 0) is None:
            config.head_dim = config.hidden_size // config.num_attention_heads
        if not getattr(config, "use_sliding_window", True):
            config.sliding_window = None
        rope = {**(values.get("rope_scaling") or values.get("rope_parameters") or {})}  # older folders have the former
        rope.setdefault("rope_theta", values.get("rope_theta", 10000.0))
        rope.setdefault("rope_type", rope.get("type", "default"))
        if (part := values.get("partial_rotary_factor")) is not None:
            rope.setdefault("partial_rotary_factor", part)
        config.rope_parameters = rope
        return config

    @property
    def num_labels(self) -> int:
        """Labels of a classifier; `transformers` writes two, its default, as nothing."""
        labels = vars(self).get("id2label")
        return len(labels) if labels else vars(self).get("num_labels", 2)

    def to_dict(self) -> dict[str, object]:
        """Every key, as the configurations of `transformers` give them."""
        return dict(vars(self))

    def written(self, architecture: str, dtype: torch.dtype) -> dict[str, object]:
        """The keys of config.json: all that were read, those that were filled in, and what is true of the weights now."""
        kept = {key: value for key, value in vars(self).items() if key != "torch_dtype"}  # the older name of dtype
        now = {"architectures": [architecture], "dtype": str(dtype).removeprefix("torch."), "transformers_version": installed()}
        return kept | now


def installed() -> str:
    """The version of `transformers` beside us, which its own writers put into every folder."""
    return version("transformers")
