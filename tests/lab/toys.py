"""Folders of base models for experiments on random models: one small model under every name that they start from."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from trueline.models.policy import Policy, tiny
from trueline.models.tokens import word_tokenizer
from trueline.world.language import vocabulary

NAMES = ("safety", "helpful", "placebo")


def random_model(seed: int = 0, layers: int = 2, context: int = 480) -> Policy:
    """A random model of width 32 in the world's own words, with room for a request after many turns."""
    torch.manual_seed(seed)
    return tiny(word_tokenizer(vocabulary()), width=32, layers=layers, heads=2, context=context).eval()


def bases(folder: Path) -> Path:
    """Save one random model under every name; return the folder that takes the place of `{base}`."""
    random_model().save(folder / NAMES[0])
    for name in NAMES[1:]:
        shutil.copytree(folder / NAMES[0], folder / name)
    return folder
