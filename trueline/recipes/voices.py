"""Several models that speak in turn within one stage: each is loaded once, and one bar counts the phases of their work.

voices = Voices(studio, room, phases=2)
said = voices.say("helpful", prompts, max_tokens=56, temperature=1.0, seed=0)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from trueline.core.types import Completion, Prompt
from trueline.models.policy import Policy
from trueline.recipes.answering import answers, loaded
from trueline.recipes.studio import Room, Studio

PART = 100  # steps of the bar in one phase


@dataclass
class Voices:
    """Answers of stages, folders and TARGETs; `phases` is about how many batches will be asked for."""

    studio: Studio
    room: Room
    phases: int
    _loaded: dict[str, Policy | None] = field(default_factory=dict)
    _done: int = 0

    def __post_init__(self) -> None:
        self.studio.show.steps(self.room.name, self.phases * PART)

    def say(
        self, reference: str, prompts: Sequence[Prompt], *, max_tokens: int, temperature: float, seed: int
    ) -> list[Completion]:
        """Return one completion of each prompt, in their order."""
        bar = self.studio.show.bar(self.room.name)
        began = self._done * PART
        said = answers(
            self.studio, reference, prompts, policy=self.policy(reference), max_tokens=max_tokens, temperature=temperature,
            seed=seed, progress=lambda done: bar(began + PART * done // max(1, len(prompts)), {}, 0.0, 0.0),
        ) if prompts else []  # fmt: skip
        self._done += 1
        return said

    def policy(self, reference: str) -> Policy | None:
        """The model that a reference names, loaded once; None where it is not in this process."""
        if reference not in self._loaded:
            self._loaded[reference] = loaded(self.studio, reference)
        return self._loaded[reference]
