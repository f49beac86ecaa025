"""Supervised fine-tuning: the model learns to answer as demonstrated. Only the assistant's tokens carry loss.

Batches are small (1,024 tokens) and sorted by length within windows; the mask of every example is audited before training.

    trueline run sft start=MODEL data=self_instruct.jsonl
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.data.split import split_by_prompt
from trueline.models.policy import Policy
from trueline.models.tokens import Example, audit
from trueline.recipes.reading import context_of, conversations
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.train.batch import pad_rows
from trueline.train.loop import train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.optim import Optim
from trueline.train.sources import Examples


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Sft:
    """Maximum likelihood on the assistant's turns of demonstrated conversations."""

    start: str = "pretrain"  # the model to teach: a stage, a folder, or hf:NAME
    data: str = "world/helpful"  # world/helpful|safety|placebo|mixed, or a file of conversations
    n: int = 3000  # demonstrations to use; 0: all of a file
    turns: Literal["all", "last"] = "all"  # which assistant turns carry loss
    epochs: int = 1
    batch: int = 1024  # tokens a step
    micro_rows: int = 0  # examples per forward pass; 0: all of a step
    context: int = 0  # longest example, tokens; longer ones are left out and counted. 0: what the model has room for
    held_out: float = 0.05  # share of the prompts of a file that is kept to measure on
    optim: Optim = Optim(lr=2e-3, muon=0.005, decay=0.6)

    def __post_init__(self) -> None:
        if self.n < 0 or self.epochs < 1 or self.batch < 1:
            raise ConfigError("n must not be negative; epochs and batch must be at least 1")

    def reads(self) -> tuple[str, ...]:
        return (self.start, "" if self.data.startswith("world/") else self.data)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start)
        found = conversations(studio, self.data, self.n)
        kept, held = (found, []) if self.data.startswith("world/") else split_by_prompt(found, self.held_out, studio.seed)
        limit = context_of(policy.codec, policy.model.config.max_position_embeddings, self.context)
        encoded = [policy.codec.example(c, self.turns) for c in kept]
        examples = [e for e in encoded if len(e.ids) <= limit]
        if not examples:
            raise RecipeError(f"all {len(kept)} examples are longer than {limit} tokens; raise context or shorten the data")
        audit(policy.codec, examples)
        measured = [e for e in (policy.codec.example(c, self.turns) for c in held) if len(e.ids) <= limit]
        before = nats_per_token(policy, measured) if measured else None
        source = Examples(examples=examples, epochs=self.epochs, tokens=self.batch, pad=policy.codec.pad, seed=studio.seed)
        studio.show.steps(room.name, len(source))
        done = train(policy, NextToken(), source, self.optim, room.loop(micro_rows=self.micro_rows))
        policy.save(room.folder / "model")
        losses = [row["loss"] for row in room.curve()][-20:]
        result: dict[str, Any] = {
            "loss": sum(losses) / len(losses),
            "tokens": done.tokens,
            "seconds": done.seconds,
            "examples": len(examples),
            "too_long": len(kept) - len(examples),
        }
        if measured:
            result |= {"held_out_loss_before": before, "held_out_loss": nats_per_token(policy, measured)}
        return result


@torch.no_grad()
def nats_per_token(policy: Policy, examples: list[Example]) -> float:
    """Cross-entropy of the trained tokens, nats a token."""
    total, count = 0.0, 0
    for i in range(0, len(examples), 32):
        part = examples[i : i + 32]
        batch = pad_rows([e.ids for e in part], [e.mask for e in part], policy.codec.pad).to(policy.device)
        out = policy(batch.tokens, batch.mask, frozenset({"logp"}))
        assert out.logp is not None
        total -= float(out.logp.sum())
        count += int(batch.mask.sum())
    return total / max(1, count)
