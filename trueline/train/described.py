"""What a process must be told to build the same model without its weights, and the same objective or reading: plain JSON.

    told = describe(policy)               rank 0
    twin = build(told)                    another rank: on the meta device, to be sharded and filled (train/team.py)
    blocks, exact = units(twin)           what is gathered together, and what is computed in float32 throughout

A model is its configuration, its adapter's settings and which of its weights learn. What is its own settings (an objective, an
optimiser's, a reading of train/forward.py) is its class and its fields.
Only classes of this package, and plugins that are registered, are ever built from what another process says.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from trueline.core.registry import plugins
from trueline.models import adapters
from trueline.models.adapters import Adapted, Adapter, Base
from trueline.models.configuration import Config
from trueline.models.decoder import Causal, Classifier, Decoder
from trueline.models.folders import transformers
from trueline.models.policy import Computing, Policy, RewardModel
from trueline.models.residual import Seeing
from trueline.train.critic import ActorCritic

KINDS = {kind.__name__: kind for kind in (Policy, RewardModel)}
DECODERS = {kind.__name__: kind for kind in (Causal, Classifier)}


class UntoldError(ValueError):
    """A model that other processes cannot be told of."""


@dataclass(frozen=True)
class Marks:
    """The ids that sampling and padding need of a codec, where nobody reads or writes text."""

    pad: int
    ends: frozenset[int]


def describe(model: nn.Module) -> dict[str, Any]:
    """Say what `build` needs. Raises UntoldError for a model of another kind."""
    if isinstance(model, ActorCritic):
        parts = {"policy": model.policy, "critic": model.critic, "cost_critic": model.cost_critic}
        told: dict[str, Any] = {name: describe(part) for name, part in parts.items() if part is not None}
    elif isinstance(model, Seeing):
        told = {"policy": describe(model.policy), "layers": list(model.layers)}
    elif type(model) in KINDS.values() and not getattr(model.model, "is_quantized", False):
        told = _computing(model)
    else:
        raise UntoldError(f"a {type(model).__name__} is trained by one process")
    learns = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    return {"kind": type(model).__name__, "learns": learns, **told}


def build(told: Mapping[str, Any]) -> nn.Module:
    """The model without weights, on the meta device, in evaluation mode."""
    if told["kind"] == "ActorCritic":
        parts = {name: build(told[name]) for name in ("policy", "critic", "cost_critic") if name in told}
        model: nn.Module = ActorCritic(**parts)
    elif told["kind"] == "Seeing":
        model = Seeing(build(told["policy"]), told["layers"])
    else:
        model = _built(told)
    learns = set(told["learns"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in learns)
    return model.eval()


def units(model: nn.Module) -> Iterator[tuple[Computing, list[nn.Module], list[nn.Module]]]:
    """Each network inside: itself, its blocks, and the heads that are computed in float32 whatever the rest is."""
    for network in (m for m in model.modules() if isinstance(m, Computing)):
        count = getattr(network.model.config, "num_hidden_layers", None)  # none: a model in parts; it is one unit
        lists = (m for m in network.model.modules() if isinstance(m, nn.ModuleList) and len(m) == count)
        heads = (getattr(network, "value_head", None), getattr(network.model, "score", None))
        yield network, list(next(lists, [])), [head for head in heads if head is not None]


def settings_told(made: object) -> dict[str, Any]:
    """A dataclass as its class and its fields."""
    fields = {f.name: getattr(made, f.name) for f in dataclasses.fields(made) if f.init}
    named = f"{type(made).__module__}:{type(made).__qualname__}"
    return {"class": named, "fields": {k: settings_told(v) if dataclasses.is_dataclass(v) else v for k, v in fields.items()}}


def settings_built(told: Mapping[str, Any]) -> Any:
    """The dataclass that was told. Raises UntoldError for a class that is no plugin and not of this package."""
    module, _, name = str(told["class"]).partition(":")
    kind = next((k for k in plugins("objective").values() if (k.__module__, k.__qualname__) == (module, name)), None)
    if kind is None and module.startswith("trueline."):
        kind = getattr(importlib.import_module(module), name, None)
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise UntoldError(f"{told['class']} is no dataclass of this package, and no objective is registered by that name here")
    return kind(**{key: settings_built(v) if isinstance(v, Mapping) else v for key, v in told["fields"].items()})


def _computing(model: Computing) -> dict[str, Any]:
    network, codec = model.model, model.codec
    told: dict[str, Any] = {
        "network": type(network).__name__,
        "ours": isinstance(network, Decoder),
        "config": network.config.to_dict(),
        "marks": {"pad": codec.pad, "ends": sorted(codec.ends)},
        "dtype": str(model.compute_dtype).removeprefix("torch."),
        "value_head": getattr(model, "value_head", None) is not None,
    }
    if model.adapted is not None:
        told["adapter"] = dataclasses.asdict(model.adapted.adapter)
    return told


def _built(told: Mapping[str, Any]) -> Computing:
    with torch.device("meta"):
        if told["ours"]:
            network: Any = DECODERS[told["network"]](Config.of(told["config"]))
        else:
            library, config = transformers(), dict(told["config"])
            described = library.AutoConfig.for_model(config.pop("model_type"), **config)
            network = getattr(library, told["network"])._from_config(described).float()  # whatever its folder was written in
        adapter = Adapter(**{**told["adapter"], "targets": tuple(told["adapter"]["targets"])}) if "adapter" in told else None
        if adapter is not None:
            adapters.inject(network, adapter, head="score" if told["kind"] == "RewardModel" else "")
    marks = Marks(told["marks"]["pad"], frozenset(told["marks"]["ends"]))
    model = KINDS[told["kind"]](network, marks)
    if adapter is not None:
        model.adapted, model.fast = Adapted(adapter=adapter, base=Base(name="", files={})), None
    if told["value_head"]:
        with torch.device("meta"):
            model.add_value_head()
    return model.compute_in(getattr(torch, told["dtype"]))
