"""A model that knows nothing: random weights, with the tokenizer of another model.

The start of a student that is taught by its teacher alone, where everything it can do came from there. `pretrain` makes such a
model and trains it; this stops before the training.

    trueline run blank like=runs/demo/safety width=96 layers=3 heads=3
    trueline run sft start=runs/blank-1a2b3c4d/blank data=answers.jsonl epochs=3
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import torch

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.models.policy import Policy, tiny
from trueline.models.tokenizer import FastTokenizer
from trueline.recipes.studio import Room, Studio

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Blank:
    """Random weights under the tokenizer of another model; the size is that model's, unless it is given."""

    like: str = "pretrain"  # the model whose tokenizer it speaks: a stage, a folder, or hf:NAME
    width: int = 0  # width of the model; 0: that of `like`
    layers: int = 0  # 0: those of `like`
    heads: int = 0  # attention heads; 0: those of `like`
    context: int = 640  # longest sequence, tokens

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads) < 0 or self.context < 1:
            raise ConfigError("width, layers and heads must not be negative, and context must be at least 1")
        if self.width and self.heads and self.width % self.heads:
            raise ConfigError(f"width must be a multiple of heads, got {self.width} and {self.heads}")

    def reads(self) -> tuple[str, ...]:
        return (self.like,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        # Its own draw: with the run's seed alone it would begin where a base of that seed began, and share its initialisation.
        torch.manual_seed(Random(f"blank/{studio.seed}").getrandbits(60))
        like = studio.policy(self.like, frozen=True)
        shape = like.model.config
        made = self.sized(like.codec.tokenizer, shape.hidden_size, shape.num_hidden_layers, shape.num_attention_heads)
        made.save(room.folder / "model")
        return {"parameters": sum(p.numel() for p in made.parameters())}

    def sized(self, tokenizer: FastTokenizer | PreTrainedTokenizerBase, width: int, layers: int, heads: int) -> Policy:
        """Make the model, where what is not set is as given: the size of `like`."""
        width, heads = self.width or width, self.heads or heads
        if width % heads:
            raise ConfigError(f"width {width} is no multiple of the {heads} heads of {self.like}; set heads too")
        return tiny(tokenizer, width, self.layers or layers, heads, self.context)
