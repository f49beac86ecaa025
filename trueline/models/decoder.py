"""Llama, Qwen2 and Qwen3 as plain modules that read and write the ecosystem's folders without importing `transformers`.

The names of the parameters, the keys of config.json and the files are those of `transformers`, whose modelling code takes
seconds to import. The arithmetic is in `models.fast`; here are the weights and the folder. A folder that is in any way unusual
(another family, quantised, other names, no safetensors) gives None: `models.folders` hands it to `transformers`, which reads it
or says what is wrong with it. `ordinary` turns a decoder into its twin there.

    decoder = read(Path("model"), Causal)
    decoder.save_pretrained(Path("again"))      # AutoModelForCausalLM loads it
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from trueline.models.configuration import FAMILIES, Config, installed
from trueline.models.fast import can_run

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
Work = Callable[[nn.Module, Tensor, Tensor | None], tuple[Tensor, Tensor]]  # of a block, on the residual stream
UNUSUAL = ("quantization_config", "auto_map", "per_layer_config", "configuration_files")  # each is for `transformers` to read


class Norm(nn.Module):
    """The weight of a root-mean-square norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class Attention(nn.Module):
    """The projections of one attention: biases in Qwen2, norms of queries and keys in Qwen3."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        width, queries, keys = config.hidden_size, config.num_attention_heads * size, config.num_key_value_heads * size
        bias = config.model_type == "qwen2"
        self.q_proj = nn.Linear(width, queries, bias=bias)
        self.k_proj = nn.Linear(width, keys, bias=bias)
        self.v_proj = nn.Linear(width, keys, bias=bias)
        self.o_proj = nn.Linear(queries, width, bias=False)
        if config.model_type == "qwen3":
            self.q_norm = Norm(size)
            self.k_norm = Norm(size)


class Gated(nn.Module):
    """The three matrices of a gated feed-forward."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)


class Block(nn.Module):
    """The weights of one layer."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = Gated(config.hidden_size, config.intermediate_size)
        self.input_layernorm = Norm(config.hidden_size)
        self.post_attention_layernorm = Norm(config.hidden_size)

    def forward(self, work: Work, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """What `models.fast` does with these weights, as a call that gathers them first where they are sharded."""
        return work(self, x, y)


class Body(nn.Module):
    """What a causal LM and a classifier have in common: what `models.fast` runs."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        # With a padding index the padding's own row gets no gradient, as in `transformers`.
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = Norm(config.hidden_size)


class Decoder(nn.Module):
    """A body under a head; random weights are drawn in the order in which `transformers` draws them."""

    suffix = ""  # of the architecture's name

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.model = Body(config)
        _begin(self.model, config.initializer_range)

    @property
    def base_model(self) -> Body:
        return self.model

    @property
    def device(self) -> torch.device:
        return self.model.norm.weight.device

    @property
    def architecture(self) -> str:
        """The name of the `transformers` class that this is a twin of."""
        return FAMILIES[self.config.model_type][0] + self.suffix

    def get_input_embeddings(self) -> nn.Embedding:
        return self.model.embed_tokens

    def tie(self) -> None:
        """Let matrices that are one be one; assigning weights parts them."""

    def companions(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Further JSON files that belong to the folder: name and content."""
        return iter(())

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and the weights as `transformers` does; a tied matrix is written once."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: p.detach().cpu().contiguous() for name, p in self.named_parameters()}
        config = self.config.written(self.architecture, self.model.norm.weight.dtype)
        for name, content in (("config.json", config), *self.companions()):
            (folder / name).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        for stale in (folder / INDEX, *folder.glob("model-*.safetensors")):
            if stale.name == INDEX or re.fullmatch(r"model-\d{5}-of-\d{5}\.safetensors", stale.name):
                stale.unlink(missing_ok=True)  # parts of the model that was here before


class Causal(Decoder):
    """A causal language model, with what generation_config.json says of its end tokens."""

    suffix = "ForCausalLM"

    def __init__(self, config: Config, generation: Mapping[str, object] | None = None) -> None:
        super().__init__(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        _begin(self.lm_head, config.initializer_range)
        self.generation_config = SimpleNamespace(**(_generation(config) if generation is None else generation))
        self.tie()

    def tie(self) -> None:
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def companions(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        yield "generation_config.json", vars(self.generation_config)


class Classifier(Decoder):
    """A sequence classifier, which reads the last token's state."""

    suffix = "ForSequenceClassification"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.score = nn.Linear(config.hidden_size, config.num_labels, bias=False)
        _begin(self.score, config.initializer_range)


def read(folder: Path, kind: type[Decoder]) -> Decoder | None:
    """The model of a folder, its weights as float32; None where `transformers` must say what the folder holds."""
    decoder = blank(folder, kind)
    if decoder is None:
        return None
    try:
        weights = _weights(folder)
        if weights is None or not _complete(decoder, weights):
            return None
        generation = folder / "generation_config.json"
        if isinstance(decoder, Causal) and generation.is_file():
            decoder.generation_config = SimpleNamespace(**json.loads(generation.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError):
        return None
    decoder.load_state_dict(weights, assign=True)
    decoder.tie()
    return decoder


def blank(folder: Path, kind: type[Decoder]) -> Decoder | None:
    """The model that a folder's config.json describes, on the meta device; None where `transformers` must read it."""
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if any(key in values for key in UNUSUAL):
            return None
        config = Config.of(values)
        whole = all(isinstance(getattr(config, name), int) for name in SIZES)
        if not whole or config.hidden_size % config.num_attention_heads or not can_run(config):
            return None
        with weightless():
            return kind(config)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError, RuntimeError):
        return None


@contextmanager
def weightless() -> Iterator[None]:
    """Modules made inside are on the meta device, and draw nothing (torch would import its compiler for that)."""
    with torch.device("meta"), _Undrawn():
        yield


def ordinary(model: PreTrainedModel | Decoder) -> PreTrainedModel:
    """The same model as a `transformers` one, on the same tensors, for tools that need its modules."""
    if not isinstance(model, Decoder):
        return model
    import transformers  # its modelling code takes seconds to import

    config = transformers.AutoConfig.for_model(**vars(model.config))
    state = model.state_dict()
    twin = getattr(transformers, model.architecture).from_pretrained(None, config=config, state_dict=state)
    twin.load_state_dict(state, assign=True)
    twin.tie_weights()
    if isinstance(model, Causal):
        twin.generation_config = transformers.GenerationConfig(**vars(model.generation_config))
    return twin.to(model.device).train(model.training)


class _Undrawn(TorchFunctionMode):
    """Lets `torch.nn.init` leave tensors as they are."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _begin(module: nn.Module, std: float) -> None:
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=std)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
        if isinstance(part, nn.Embedding) and part.padding_idx is not None:
            nn.init.zeros_(part.weight[part.padding_idx])


def _generation(config: Config) -> dict[str, object]:
    """What `transformers` takes where a folder has no generation_config.json."""
    ids = {key: getattr(config, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    found = {key: value for key, value in ids.items() if value is not None}
    return {"_from_model_config": True, **found, "transformers_version": installed()}


def _weights(folder: Path) -> dict[str, Tensor] | None:
    """All tensors of a folder, mapped from its files where they are float32 already; None for files of another making."""
    names = [WEIGHTS]
    if not (folder / WEIGHTS).is_file():
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        names = sorted(set(index["weight_map"].values()))
    found: dict[str, Tensor] = {}
    for name in names:
        with safe_open(folder / name, framework="pt") as part:
            if (part.metadata() or {}).get("format") != "pt" or Path(name).name != name:
                return None
            found |= {key: part.get_tensor(key) for key in part.keys()}  # noqa: SIM118  (a file, not a mapping)
    return {name: tensor.to(torch.float32) for name, tensor in found.items()}


def _complete(decoder: Decoder, weights: dict[str, Tensor]) -> bool:
    """Whether these are the decoder's weights, all of them and no others; a tied head is looked at and then shared."""
    if getattr(decoder.config, "tie_word_embeddings", False) and isinstance(decoder, Causal):
        embedding = weights["model.embed_tokens.weight"]
        if not torch.equal(weights.setdefault("lm_head.weight", embedding), embedding):
            return False
    shapes = {name: tensor.shape for name, tensor in decoder.state_dict().items()}
    return shapes == {name: tensor.shape for name, tensor in weights.items()}
