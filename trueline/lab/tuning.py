"""A short fine-tuning on demonstrations that a stage of the run has written: so many steps of so many rows.

Arms of an experiment differ in what they are shown; start, steps, rows and step size are the same. Where the demonstrations
are fewer than the rows, they come again, in an order that is new each time.

    studio.make("shown/bad", Advice(manner="bad", n=600))                             # leaves demonstrations.jsonl
    studio.make("tuned/bad", Tune(start="{base}/safety", data="shown/bad", steps=40))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueline.core.config import ConfigError
from trueline.core.types import Conversation
from trueline.data.export import write
from trueline.models.tokens import audit
from trueline.recipes.reading import conversations
from trueline.recipes.studio import Room, Studio
from trueline.train.kinds import Kind, Kinds, in_turn
from trueline.train.loop import train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.optim import Optim

SHOWN = "demonstrations.jsonl"


@dataclass(frozen=True, kw_only=True)
class Tune:
    """Train a model further by maximum likelihood on what a stage has shown."""

    start: str  # a stage, or a folder
    data: str  # a stage that wrote demonstrations, or their file
    steps: int = 60
    rows: int = 24  # demonstrations a step: about 1,024 tokens, the usual step of sft
    optim: Optim = Optim(lr=2e-3, muon=0.005, decay=0.6)  # as in sft

    def __post_init__(self) -> None:
        if min(self.steps, self.rows) < 1:
            raise ConfigError(f"steps and rows must each be at least 1, got {self.steps} and {self.rows}")

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.data)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start)
        shown = conversations(studio, studio.file(self.data, SHOWN), self.steps * self.rows)
        encoded = [policy.codec.example(conversation) for conversation in shown]
        audit(policy.codec, encoded)
        draw = in_turn(encoded, self.rows, f"{studio.seed}/tune")
        source = Kinds(kinds={"shown": Kind(draw)}, steps=self.steps, pad=policy.codec.pad)
        studio.show.steps(room.name, len(source))
        done = train(policy, NextToken(), source, self.optim, room.loop())
        policy.save(room.folder / "model")
        return {"tokens": done.tokens, "seconds": done.seconds, "loss": room.curve()[-1]["loss"]}


def leave(room: Room, shown: Sequence[Conversation]) -> int:
    """Write demonstrations where `Tune` finds them; return how many."""
    return write(shown, room.folder / SHOWN)
