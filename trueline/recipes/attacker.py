"""An attacker that is trained by reinforcement: requests that get a target to give what it should not, and how they differ.

    warm     the start learns to ask at all, from demonstrations of requests in the trained families
    plain    RL on success alone, near the start: the control, which is expected to collapse onto one or two families
    rl       RL on success and novelty (recipes/pursuit.py); its model is the attacker
    trial    all of them, and random wrappers, on goals that they were trained on and on held-out ones

Success alone is no measure of an attacker: one that knows a single trick finds a single hole. Diversity stands beside it.

    trueline run attacker target=runs/demo/safety start=runs/demo/pretrain
    trueline run attacker target=http://localhost:8000/v1#MODEL start=hf:NAME goals=goals.jsonl requests=shown.jsonl
    trueline attack runs/demo/safety --attacks trained --attacker runs/attacker-1a2b3c4d/rl --budget 16
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from trueline.attack.goals import WORLD
from trueline.attack.trained import invitation
from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Conversation, Prompt
from trueline.data.export import write
from trueline.recipes.pursuit import Pursuit
from trueline.recipes.reading import conversations
from trueline.recipes.reporting import made_of
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, RecipeError, Room, Studio
from trueline.recipes.trial import Trial

WORLD_REQUESTS = "world/requests"


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Attacker:
    """Train a model to attack one target, and report success beside diversity."""

    start: str = "pretrain"  # the model that becomes the attacker: a stage, a folder, or hf:NAME
    target: str = "safety"  # what is attacked: a stage, a folder or any TARGET
    goals: str = WORLD  # the world's known hazards, or a file of goals
    judge: str = ""  # who says what was given (recipes/judging.py); empty: the oracle in the world, rules for a file
    requests: str = WORLD_REQUESTS  # what the start learns to ask by; a file of goals answered with requests; empty: nothing
    with_plain: bool = True  # also train without novelty: the control
    with_trial: bool = True  # also measure, which takes about as long as training
    warm: Sft = Sft(n=2000)  # how the start learns to ask; its start and data are those of the recipe
    rl: Pursuit = Pursuit()  # how it is rewarded; its start, target, goals and judge are those of the recipe
    trial: Trial = Trial()  # how much is measured; whom and on what is said here

    def __post_init__(self) -> None:
        if self.goals != WORLD and self.requests == WORLD_REQUESTS:
            raise ConfigError(
                f"requests={WORLD_REQUESTS} are in the world's tongue, and goals={self.goals} are not; give a file of "
                "conversations (a goal, answered with a request for it), or requests= for a start that can ask already"
            )

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Warm-up, control, RL and trial, each stage's name after `within`."""
        made: list[tuple[str, Recipe]] = []
        start = self.start
        if self.requests:
            data = self.requests
            if data != WORLD_REQUESTS:
                data = f"{within}invited"
                made.append((data, Invited(data=self.requests)))
            start = f"{within}warm"
            made.append((start, replace(self.warm, start=self.start, data=data)))
        about: dict[str, Any] = {"start": start, "target": self.target, "goals": self.goals, "judge": self.judge}
        rl = replace(self.rl, **about)
        if self.with_plain:
            made.append((f"{within}plain", plain(rl)))
        made.append((self.final(within), rl))
        if self.with_trial:
            trial = replace(self.trial, **about, rl=self.final(within), plain=f"{within}plain" if self.with_plain else "",
                            max_tokens=rl.max_tokens, answer_tokens=rl.answer_tokens)  # fmt: skip
            made.append((f"{within}trial", trial))
        return made

    def final(self, within: str = "") -> str:
        """The stage whose model is the attacker."""
        return f"{within}rl"

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry the stages out; return the report."""
        return made_of(self, studio)


def plain(rl: Pursuit) -> Pursuit:
    """The same training with nothing but success in its reward; where nothing succeeds it learns nothing, and says so."""
    return replace(rl, novelty=0.0, objective=replace(rl.objective, entropy=0.0), flat="train")


@dataclass(frozen=True, kw_only=True)
class Invited:
    """Demonstrations from a file: each goal, answered with a request, becomes an invitation answered with that request."""

    data: str  # conversations: the user names a goal, the assistant answers with a request for it

    def reads(self) -> tuple[str, ...]:
        return (self.data,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        made: list[Conversation] = []
        for found in conversations(studio, self.data, 0):
            turns = [m for m in found.messages if m.role != "system"]
            if [m.role for m in turns] != ["user", "assistant"]:
                raise RecipeError(
                    f"{self.data}: expected a goal by the user and a request by the assistant in every row, got a row with "
                    f"{', '.join(m.role for m in turns) or 'no turn'}; write one request a row"
                )
            goal = Prompt(conversation=Conversation(messages=tuple(turns[:1])), about={"goal": turns[0].text})
            made.append(invitation(goal).say("assistant", turns[1].text))
        write(made, room.folder / "demonstrations.jsonl")
        return {"demonstrations": len(made)}
