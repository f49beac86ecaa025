"""LoRA adapters: a small trained difference on a frozen model. Hu et al. 2021 (2106.09685), eq. 3: W x + (alpha / rank) B A x.

`peft` does the arithmetic, on every model that `transformers` loads. Here are the settings, the folder that is written, and the
views of an adapted model that share its weights: without the adapter (the reference of DPO, PPO and GRPO, which costs no second
copy) and with the adapter merged (an ordinary model).

A folder holds the adapter alone: `peft`'s own two files, which every tool of the ecosystem reads, and `base.json`, which says
what the adapter was trained on, file by file. An adapter on a base that has changed since is refused.

    trueline run sft start=MODEL data=FILE.jsonl adapter.rank=16 optim.muon=0 optim.lr=2e-4
"""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from trueline.core.files import file_hash

if TYPE_CHECKING:
    from peft.tuners.tuners_utils import BaseTunerLayer
    from transformers import PreTrainedModel

MARKS = ("config.json", "adapter_config.json")  # one of them makes a folder a model, or an adapter
WEIGHTS, RECORD = "adapter_model.safetensors", "base.json"
HASHED = (*MARKS, RECORD, "*.safetensors")  # the files that make a base what it is
PREFIX = "base_model.model."  # how `peft` begins the names of tensors on disk


class AdapterError(ValueError):
    """An adapter that does not fit its model, its base or what is asked of it; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """What is trained in place of all weights."""

    rank: int = 0  # rank of the difference that is trained beside each frozen matrix (LoRA); 0: no adapter, all weights learn
    alpha: float = 32.0  # the difference counts alpha / rank times
    dropout: float = 0.0  # share of an adapter's inputs dropped in training; only where nothing is compared with a reference
    targets: tuple[str, ...] = ()  # linear layers that get one, such as q_proj,v_proj; empty: all but the head
    merge: bool = False  # save an ordinary model folder, not the adapter alone

    def __post_init__(self) -> None:
        if self.rank < 0 or self.alpha <= 0:
            raise ValueError(f"adapter.rank must not be negative and adapter.alpha above 0, got {self.rank} and {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"adapter.dropout is a share from 0 to below 1, got {self.dropout}")


WHOLE = Adapter()  # no adapter: all weights learn


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The model that an adapter was trained on: where it was, and the SHA-256 of each file that makes it what it is."""

    name: str  # an absolute folder, or hf:NAME
    files: Mapping[str, str]

    @classmethod
    def of(cls, source: str) -> Base:
        """Look at a folder, or at what the hub's cache holds for a name."""
        folder = Path(source)
        name = str(folder.absolute()) if folder.is_dir() else f"hf:{source.removeprefix('hf:')}"
        return cls(name=name, files=_hashes(source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapted:
    """What a policy knows of the adapter that it carries."""

    adapter: Adapter
    base: Base

    def save(self, model: PreTrainedModel, folder: Path) -> None:
        """Write the adapter and the record of its base into `folder`, or the merged model if the settings say so."""
        if self.adapter.merge:
            view(model, merged=True).save_pretrained(folder, safe_serialization=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        state = _peft().get_peft_model_state_dict(model, save_embedding_layers=False)
        weights = {f"{PREFIX}{name}": tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
        config = model.peft_config["default"]
        config.base_model_name_or_path = self.base.name.removeprefix("hf:")
        config.save_pretrained(folder)
        near = "" if self.base.name.startswith("hf:") else os.path.relpath(self.base.name, folder.absolute())
        record = {"name": self.base.name, "near": near, "files": dict(self.base.files)}
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def attach(model: PreTrainedModel, adapter: Adapter, source: str | None, head: str = "") -> Adapted:
    """Freeze `model` and put an adapter that changes nothing yet on its linear layers, in place.

    `source` is what the model was loaded from. `head` names a module that is trained, and saved, whole: a new score head.
    """
    if source is None:
        raise AdapterError("an adapter needs a base that it can name: load the model from a folder or hf:NAME")
    if adapter.merge and getattr(model, "is_quantized", False):
        raise AdapterError("adapter.merge would round the adapter away on a quantised base; leave it off")
    inject(model, adapter, head)
    return Adapted(adapter=adapter, base=Base.of(source))


def inject(model: PreTrainedModel, adapter: Adapter, head: str = "") -> None:
    """Put an adapter on the linear layers of a model, in place, and freeze the rest; `attach` says where it came from too."""
    from transformers.pytorch_utils import Conv1D  # takes half a second to import

    conv = any(isinstance(m, Conv1D) for m in model.modules())
    config = _peft().LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=_targets(model, adapter.targets),
        modules_to_save=[head] if head else None,
        fan_in_fan_out=conv,  # GPT-2 keeps its matrices transposed
        task_type="SEQ_CLS" if head else "CAUSAL_LM",
    )
    _peft().inject_adapter_in_model(config, model)


def view(model: PreTrainedModel, merged: bool) -> PreTrainedModel:
    """The adapted model as an ordinary one: with the adapter added to the weights (`merged`), or without it.

    Every weight that is the same is the same tensor: without the adapter that is all of them.
    """
    peft = _peft()
    memo: dict[int, object] = {id(t): t for t in (*model.parameters(), *model.buffers())}
    for module in model.modules():
        if isinstance(module, peft.tuners.tuners_utils.BaseTunerLayer):
            memo[id(module)] = _merged(module) if merged else module.get_base_layer()
        elif isinstance(module, peft.utils.ModulesToSaveWrapper):
            memo[id(module)] = module.modules_to_save["default"] if merged else module.original_module
    twin = copy.deepcopy(model, memo)
    vars(twin).pop("peft_config", None)
    return twin


def base_of(folder: str) -> str | None:
    """Where the base of an adapter's folder is; None for an ordinary folder or name. Raises AdapterError if it has changed."""
    record = Path(folder) / RECORD
    if not record.is_file():
        if (Path(folder) / "adapter_config.json").is_file():
            raise AdapterError(
                f"{folder!r} holds an adapter without {RECORD}, so what it was trained on cannot be checked; "
                f"merge it with the tool that made it (peft: merge_and_unload), and give the merged folder"
            )
        return None
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        name, near, files = str(found["name"]), str(found["near"]), dict(found["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"{record}: expected name, near and files of the adapter's base: {error}") from error
    places = [name] if name.startswith("hf:") else [p for p in (name, str(Path(folder) / near)) if Path(p).is_dir()]
    if not places:
        raise AdapterError(f"{folder!r} is an adapter on {name}, which is not there; put it back, or correct {record}")
    for place in places:
        if _hashes(place) == files:
            return place
    differs = "; ".join(_differences(files, _hashes(places[0])))
    raise AdapterError(f"{folder!r} is an adapter on {places[0]}, which has changed since: {differs}; put the old one back")


def merged_onto(model: PreTrainedModel, folder: str) -> PreTrainedModel:
    """The base `model` with the adapter of `folder` added to its weights: an ordinary model, all of which can learn."""
    peft = _peft()
    if getattr(model, "is_quantized", False):
        model = model.dequantize()  # into four bits an adapter cannot be added: most of it would be rounded away
    try:
        config = peft.LoraConfig.from_pretrained(folder)
        weights = load_file(Path(folder) / WEIGHTS)
        config.inference_mode = False
        peft.inject_adapter_in_model(config, model)
        state = {name.removeprefix(PREFIX): tensor for name, tensor in weights.items()}
        found = peft.set_peft_model_state_dict(model, state)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise AdapterError(f"{folder!r} could not be put on its base: {reason}") from error
    if found.unexpected_keys:
        raise AdapterError(f"{folder!r} has weights that its base has no place for: {', '.join(found.unexpected_keys[:3])}")
    twin = view(model, merged=True)
    for parameter in twin.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return twin


def linear_layers(model: PreTrainedModel) -> list[str]:
    """The last names of the linear layers in a model's body, in order: what `adapter.targets` chooses from."""
    from transformers.pytorch_utils import Conv1D  # takes half a second to import

    found = (name.rpartition(".")[2] for name, m in model.base_model.named_modules() if isinstance(m, nn.Linear | Conv1D))
    return list(dict.fromkeys(found))


def _targets(model: PreTrainedModel, asked: tuple[str, ...]) -> list[str]:
    there = linear_layers(model)
    if unknown := [name for name in asked if name not in there]:
        raise AdapterError(f"adapter.targets: {unknown[0]!r} is no linear layer of this model; it has {', '.join(there)}")
    return list(asked) or there


def _merged(layer: BaseTunerLayer) -> nn.Module:
    """A copy of the layer under an adapter, with the adapter added to its weight."""
    twin = copy.deepcopy(layer)
    twin.merge()
    return twin.get_base_layer()


def _hashes(source: str) -> dict[str, str]:
    folder = Path(source)
    if not folder.is_dir():
        from transformers.utils.hub import cached_file  # takes half a second to import

        folder = Path(str(cached_file(source.removeprefix("hf:"), "config.json"))).parent
    return {path.name: file_hash(path) for path in _hashed(folder)}


def _hashed(folder: Path) -> Iterator[Path]:
    for pattern in HASHED:
        yield from sorted(folder.glob(pattern))


def _differences(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*then, *now)):
        if name not in now:
            yield f"{name} is gone"
        elif name not in then:
            yield f"{name} is new"
        elif then[name] != now[name]:
            yield f"{name} is another (SHA-256 {then[name][:8]} then, {now[name][:8]} now)"


def _peft() -> ModuleType:
    """The library, which is an optional extra and takes seconds to import."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import peft
    except ImportError as error:
        raise AdapterError("adapters need peft: pip install 'trueline[lora]'") from error
    return peft
