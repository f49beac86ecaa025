"""Supervised fine-tuning: the model learns to answer as demonstrated. Only the assistant's tokens carry loss.

Batches are small (1,024 tokens) and sorted by length within windows; the mask of every example is audited before training.

    trueline run sft start=MODEL data=self_instruct.jsonl
    trueline run sft start=MODEL data=answers.jsonl noise=5 weight=quality       # NEFTune; each row has its own weight
    trueline run sft start=MODEL data=labelled.jsonl unlikelihood=1              # rows with `label: false` are to be avoided
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import torch

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Conversation
from trueline.data.formats import Labelled
from trueline.data.recognise import read
from trueline.data.split import split_by_prompt
from trueline.models.adapters import Adapter
from trueline.models.noise import Noisy
from trueline.models.policy import Policy
from trueline.models.tokens import Example, audit
from trueline.recipes.fields import numbers
from trueline.recipes.reading import check_words, context_of, conversations
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.train.batch import pad_rows
from trueline.train.loop import train
from trueline.train.objectives.likelihood import NextToken, Unlikelihood
from trueline.train.optim import Optim
from trueline.train.sources import Examples


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Sft:
    """Maximum likelihood on the assistant's turns of demonstrated conversations; unlikelihood on those marked as unwanted."""

    start: str = "pretrain"  # the model to teach: a stage, a folder, or hf:NAME
    data: str = "world/helpful"  # a set of the world such as world/mixed:hedged=0.2, a stage of `demonstrate`, or a file
    n: int = 3000  # demonstrations to use; 0: all of a file
    turns: Literal["all", "last"] = "all"  # which assistant turns carry loss
    epochs: int = 1
    batch: int = 1024  # tokens a step
    micro_rows: int = 0  # examples per forward pass; 0: all of a step
    context: int = 0  # longest example, tokens; longer ones are left out and counted. 0: what the model has room for
    held_out: float = 0.05  # share of the prompts of a file that is kept to measure on
    weight: str = ""  # field of the file with each row's weight, 0 or more; empty: all rows weigh 1
    unlikelihood: float = 0.0  # above 0: data holds labelled completions, and the unwanted ones are unlearned, at this weight
    noise: float = 0.0  # NEFTune's alpha: noise on the embeddings while training; 5 is usual, 0 is none
    adapter: Adapter = Adapter()
    optim: Optim = Optim(lr=2e-3, muon=0.005, decay=0.6)

    def __post_init__(self) -> None:
        if self.n < 0 or self.epochs < 1 or self.batch < 1:
            raise ConfigError("n must not be negative; epochs and batch must be at least 1")
        if self.unlikelihood < 0 or self.noise < 0:
            raise ConfigError(f"unlikelihood and noise must not be negative, got {self.unlikelihood} and {self.noise}")
        if self.data.startswith("world/") and (self.weight or self.unlikelihood):
            raise ConfigError(f"weight and unlikelihood read the rows of a file, and {self.data} is none; leave both out")

    def reads(self) -> tuple[str, ...]:
        return (self.start, "" if self.data.startswith("world/") else self.data)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start, adapter=self.adapter)
        shown = self._shown(studio)
        world = self.data.startswith("world/")
        kept, held = (
            ([c for c, _, _ in shown], []) if world else split_by_prompt([c for c, _, _ in shown], self.held_out, studio.seed)
        )
        limit = context_of(policy.codec, policy.model.config.max_position_embeddings, self.context)
        about = {id(c): (weight, negative) for c, weight, negative in shown}
        turns: Literal["all", "last"] = "last" if self.unlikelihood else self.turns
        encoded = [(policy.codec.example(c, turns), *about[id(c)]) for c in kept]
        fitting = [found for found in encoded if len(found[0].ids) <= limit]
        if not fitting:
            raise RecipeError(f"all {len(kept)} examples are longer than {limit} tokens; raise context or shorten the data")
        examples, weights, negatives = zip(*fitting, strict=True)
        if self.unlikelihood and not any(negatives):
            raise RecipeError(f"{self.data}: no row to train on has a label that is false; leave unlikelihood out")
        audit(policy.codec, examples)
        check_words(policy.codec, examples, self.data)
        wanted = [policy.codec.example(c, turns) for c in held if not about[id(c)][1]]
        measured = [e for e in wanted if len(e.ids) <= limit]
        before = nats_per_token(policy, measured) if measured else None
        columns = ({"weight": weights} if self.weight else {}) | ({"negative": negatives} if self.unlikelihood else {})
        source: Any = Examples(
            examples=examples, columns=columns, epochs=self.epochs, tokens=self.batch, pad=policy.codec.pad, seed=studio.seed
        )
        studio.show.steps(room.name, len(source))
        model: Any = policy
        if self.noise:
            model = Noisy(policy, self.noise, studio.seed)
            source = model.following(source)
        objective = Unlikelihood(self.unlikelihood) if self.unlikelihood else NextToken()
        done = train(model, objective, source, self.optim, room.loop(micro_rows=self.micro_rows))
        policy.save(room.folder / "model")
        losses = [row["loss"] for row in room.curve()][-20:]
        result: dict[str, Any] = {
            "loss": sum(losses) / len(losses),
            "tokens": done.tokens,
            "seconds": done.seconds,
            "examples": len(examples),
            "too_long": len(kept) - len(examples),
        }
        if self.unlikelihood:
            result["avoided"] = int(sum(negatives))
        if measured:
            result |= {"held_out_loss_before": before, "held_out_loss": nats_per_token(policy, measured)}
        return result

    def _shown(self, studio: Studio) -> list[tuple[Conversation, float, float]]:
        """Conversations, each with its weight and whether it is to be avoided (1 or 0)."""
        data = studio.file(self.data, "demonstrations.jsonl")
        if self.unlikelihood:
            labelled = list(islice(read(Labelled, data), self.n or None))
            found = [r.prompt.conversation.say("assistant", r.completion.text, r.completion.tool_calls) for r in labelled]
            negatives = [float(not r.label) for r in labelled]
        else:
            found = conversations(studio, data, self.n)
            negatives = [0.0] * len(found)
        weights = numbers(data, self.weight, self.n, least=0.0) if self.weight else [1.0] * len(found)
        return list(zip(found, weights, negatives, strict=True))


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
