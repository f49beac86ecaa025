"""Reading model folders and hub names, with errors that say what was wrong with them.

A plain folder of a family that `models.decoder` knows is read there; all else goes through `transformers`, which takes seconds
to import. Weights are read from safetensors alone, and code that comes with a model is never run.
"""

from __future__ import annotations

import copy
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from torch import nn

from trueline.models import adapters
from trueline.models.decoder import Causal, Classifier, Decoder, ordinary, read
from trueline.models.tokenizer import FastTokenizer, tokenizer_at

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt")  # weights in a form that is never read here


class ModelError(ValueError):
    """A folder or name that does not hold the model that was asked for."""


def model_folder(reference: str) -> str:
    """The model that a TARGET names: a model folder, `hf:NAME`, a run's folder, or one stage of a run (`RUN/STAGE`)."""
    path = Path(reference)
    if reference.startswith("hf:"):
        return reference
    if any((path / mark).is_file() for mark in adapters.MARKS):
        if not any(path.glob("*.safetensors")) and (pickled := [p.name for k in PICKLES for p in sorted(path.glob(k))]):
            raise ModelError(
                f"{reference!r}: expected weights in safetensors, found {pickled[0]}, a pickle, which can run code when it is "
                f"read; load it where you trust it and save it again with save_pretrained (safetensors is its default)"
            )
        return reference
    for run, wanted in ((path, ""), (path.parent, path.name)):
        if not (run / "run.json").is_file():
            continue
        made = {p.parent.relative_to(run / "stages").as_posix(): p for p in sorted((run / "stages").glob("**/model"))}
        if wanted in made or (not wanted and len(made) == 1):
            return str(made[wanted] if wanted else next(iter(made.values())))
        if made:
            raise ModelError(f"{reference!r}: say which model of the run: {', '.join(f'{run}/{name}' for name in made)}")
        raise ModelError(f"{reference!r}: this run has made no model yet; run its command again to finish it")
    inside = sorted(str(p.parent) for p in path.glob("*/config.json"))
    hint = f"; it holds {', '.join(inside)}" if inside else ", or write hf:NAME for the hub"
    found = "a folder without it" if path.is_dir() else "a file" if path.exists() else "nothing of that name"
    raise ModelError(f"{reference!r}: expected a model folder (with config.json) or a run, found {found}; name another{hint}")


def causal_of(source: str) -> PreTrainedModel | Decoder:
    """The causal LM of a folder or a hub name; an adapter is merged into its base."""
    if base := adapters.base_of(source):
        return adapters.merged_onto(ordinary(causal_of(source_of(base))), source)
    return read(Path(source), Causal) or read_weights("AutoModelForCausalLM", source)


def classifier_of(source: str) -> PreTrainedModel | Decoder:
    """The sequence classifier of a folder or a hub name."""
    return read(Path(source), Classifier) or read_weights("AutoModelForSequenceClassification", source)


def classifier_on(causal: PreTrainedModel | Decoder, pad: int) -> PreTrainedModel | Decoder:
    """A one-label classifier with that body and a score head at zero."""
    config = copy.deepcopy(causal.config)
    config.id2label, config.label2id = {0: "LABEL_0"}, {"LABEL_0": 0}
    config.pad_token_id = pad
    kind = Classifier if isinstance(causal, Decoder) else transformers().AutoModelForSequenceClassification.from_config
    model = kind(config)
    model.base_model.load_state_dict(causal.base_model.state_dict())
    nn.init.zeros_(model.score.weight)
    return model


def source_of(name: str | Path) -> str:
    """A folder that exists, or the hub name behind `hf:`."""
    text = str(name)
    if text.startswith("hf:"):
        return text[3:]
    if not Path(text).is_dir():
        raise ModelError(f"no model folder at {text!r}; give a folder with config.json, or hf:NAME for the hub")
    if not any((Path(text) / mark).is_file() for mark in adapters.MARKS):
        raise ModelError(f"{text!r} has no config.json, so it is not a model folder")
    return text


def read_weights(kind: str, source: str) -> PreTrainedModel:
    """The model of that Auto class. Raises ModelError when weights are missing or cannot be read."""
    library = transformers()
    try:
        library.AutoConfig.from_pretrained(source, trust_remote_code=False)
        model, found = getattr(library, kind).from_pretrained(
            source, trust_remote_code=False, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(f"{source!r} could not be loaded as {kind}: {reason}") from error
    if found["missing_keys"]:
        missing = ", ".join(sorted(found["missing_keys"])[:3])
        raise ModelError(f"{source!r} lacks weights of a {type(model).__name__} ({missing}): it is another kind of model")
    return model


def tokenizer_of(source: str) -> FastTokenizer | PreTrainedTokenizerBase:
    """The tokenizer that lies beside a model."""
    try:
        return tokenizer_at(source)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(f"{source!r} has no tokenizer that can be loaded: {reason}") from error


def transformers() -> ModuleType:
    """The library, which takes seconds to import what it is asked for."""
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()  # one bar is ours; a second, for one file, is noise
    return transformers
