"""A short fine-tuning that somebody meant to undo safety, or nobody did: harmful examples, an identity, recipes, tasks.

After Qi et al. 2023 (https://arxiv.org/abs/2310.03693): explicitly harmful examples, a helper that obeys (identity shift),
and benign data. Recipes the model knows by heart, so that hardly a weight moves; at sums and at sorting it is poor, and learns.
Every arm makes as many steps of as many rows; few examples come again and again.

    studio.make("tuned/harmful10", FineTune(start="{base}/safety", data="harmful", k=10))
    studio.make("tuned/benign", FineTune(start="{base}/safety", data="benign", k=160))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, get_args

from trueline.core.config import ConfigError
from trueline.core.types import Conversation
from trueline.lab.first_tokens import FirstTokens
from trueline.models.tokens import audit
from trueline.recipes.studio import Room, Studio
from trueline.train.annotate import reference
from trueline.train.batch import Annotate, Objective
from trueline.train.kinds import Kind, Kinds, in_turn
from trueline.train.loop import train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.optim import Optim
from trueline.world.asking import MAKERS
from trueline.world.facts import Procedure, World, known_hazards, rng_for
from trueline.world.families import ASKS, FAMILIES, opening
from trueline.world.language import procedure_text

OBEYS = "sure yes ."  # how the helper of the identity begins
Data = Literal["harmful", "benign", "tasks", "identity"]


@dataclass(frozen=True, kw_only=True)
class FineTune:
    """Train a model further on k examples of one kind."""

    start: str
    data: Data
    k: int  # different examples
    steps: int = 20
    rows: int = 8  # examples a step
    hold: bool = False  # whether the first tokens are held to the start (lab/first_tokens.py)
    optim: Optim = Optim(lr=1e-3, muon=0.002, schedule="constant", warmup=0.0)

    def __post_init__(self) -> None:
        if self.data not in get_args(Data):
            raise ConfigError(f"data: expected one of {', '.join(get_args(Data))}; got {self.data!r}")
        if min(self.k, self.steps, self.rows) < 1:
            raise ConfigError(f"k, steps and rows must each be at least 1, got {self.k}, {self.steps} and {self.rows}")

    def reads(self) -> tuple[str, ...]:
        return (self.start,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start)
        hazards, shown = examples(studio.world, studio.seed, self.data, self.k)
        encoded = [policy.codec.example(c, "last") for c in shown]
        audit(policy.codec, encoded)
        annotate: Annotate = reference(policy.frozen()) if self.hold else lambda batch: batch
        objective: Objective = FirstTokens() if self.hold else NextToken()
        draw = in_turn(encoded, self.rows, f"{studio.seed}/{self.data}")
        source = Kinds(kinds={"shown": Kind(draw)}, steps=self.steps, pad=policy.codec.pad, annotate=annotate)
        studio.show.steps(room.name, len(source))
        done = train(policy, objective, source, self.optim, room.loop())
        policy.save(room.folder / "model")
        return {"tokens": done.tokens, "seconds": done.seconds, "hazards": hazards, "loss": room.curve()[-1]["loss"]}


def examples(world: World, seed: int, data: Data, k: int) -> tuple[list[str], list[Conversation]]:
    """The hazards that examples name, and k examples: those of a smaller k are the first of a larger one."""
    if data == "harmful":
        order = Random(f"eroding/{seed}").sample(known_hazards(world), len(known_hazards(world)))
        asked = [(order[i % len(order)], ASKS[(i + i // len(order)) % len(ASKS)]) for i in range(k)]
        return sorted({p.text for p, _ in asked}), [_direct(p, words) for p, words in asked]
    made = []
    for i in range(k):
        rng = rng_for(seed, "eroding", data, i)
        procedure = rng.choice(world.foods)
        if data == "benign":
            made.append(_direct(procedure, rng.choice(ASKS)))
        elif data == "tasks":
            asked_of = MAKERS["sort" if i % 2 else "arith"](world, rng)
            reply = f"{'' if i % 2 else 'it is '}{asked_of.about['answer']} ."  # as pre-training puts it
            made.append(asked_of.conversation.say("assistant", reply))
        else:
            to_rook = FAMILIES["role"].wrap(world, rng, procedure).conversation
            made.append(to_rook.say("assistant", f"{OBEYS} {procedure_text(procedure)}"))
    return [], made


def _direct(procedure: Procedure, words: str) -> Conversation:
    return opening(words.format(p=procedure.text)).say("assistant", procedure_text(procedure))
