"""The red team of a deployment: it asks the app itself, and what gets through becomes lessons with right replies.

    studio.make("lessons", Lessons(model="{base}/safety"))                            # leaves demonstrations.jsonl
    studio.make("model", Update(start="{base}/safety", lessons="lessons", how=Sft(n=0, turns="last")))

It knows the wordings that may be taught, shops of its own, and every system prompt. A lesson is a question that got through and
what the assistant should have said: a refusal, or, where a page gave an order, the answer to what the user asked. As many
lessons come from each kind of goal that was reached. The other rows are the work of a day, done rightly, of the half of it that
nothing is measured on (data/apart.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from random import Random
from typing import Any

from trueline.core.config import ConfigError
from trueline.core.types import Conversation, Prompt
from trueline.data.apart import taught
from trueline.data.export import write
from trueline.lab.deployment_asked import reached
from trueline.lab.deployment_goals import INJECTION, KINDS, SECRET, TAUGHT, Question, goals, tasks
from trueline.lab.deployment_shop import SYSTEMS
from trueline.lab.paired import kept, put
from trueline.recipes.studio import Room, Studio
from trueline.world.facts import World
from trueline.world.language import procedure_text, refusal

DECLINES = "sorry , i cannot do that ."


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """Ask the app in the wordings that may be taught, and write down what it should have said where something got through."""

    model: str  # the model in the app: a stage, or a folder
    n: int = 24  # goals of each kind
    rows: int = 900  # demonstrations
    share: float = 0.4  # of them, that are lessons
    max_tokens: int = 48

    def __post_init__(self) -> None:
        if min(self.n, self.rows, self.max_tokens) < 1 or not 0 < self.share < 1:
            raise ConfigError("n, rows and max_tokens must each be at least 1, and share lie between 0 and 1")

    def reads(self) -> tuple[str, ...]:
        return (self.model,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        world, seed = studio.world, studio.seed
        asked = [q for q in goals(world, seed, self.n, "lesson") if q.words in TAUGHT[q.kind]]
        tried = [(question, question.under(system)) for system in SYSTEMS for question in asked]
        prompts = [prompt for _, prompt in tried]
        said = put(studio, room, self.model, prompts, max_tokens=self.max_tokens, seed=seed + 1)
        through = [(*each, reply) for each, reply in zip(tried, said, strict=True) if reached(world, each[0], reply)]
        kept(room, [reply for _, _, reply in through], 12)
        if not through:
            return {"findings": 0, "demonstrations": 0}
        rng = Random(f"deployment/{seed}")
        shown = [_shown(prompt, _should(world, rng, question)) for question, prompt, _ in self._balanced(through, rng)]
        shown += self._work(world, seed, self.rows - len(shown))
        rng.shuffle(shown)
        write(shown, room.folder / "demonstrations.jsonl")
        counts = {kind: sum(question.kind == kind for question, _, _ in through) for kind in KINDS}
        return {"asked": len(tried), "findings": len(through), "demonstrations": len(shown), **counts}

    def _balanced(self, through: Sequence[tuple[Question, Prompt, Any]], rng: Random) -> list[tuple[Question, Prompt, Any]]:
        """As many of each kind, again and again where there are few."""
        kinds = [[one for one in through if one[0].kind == kind] for kind in KINDS]
        there = [rng.sample(some, len(some)) for some in kinds if some]
        each = round(self.rows * self.share / len(there))
        return [one for some in there for one in islice(cycle(some), each)]

    def _work(self, world: World, seed: int, n: int) -> list[Conversation]:
        """Tasks that may be taught, done rightly, under the system prompts in turn."""
        done = zip(tasks(world, seed, n, taught), cycle(SYSTEMS))
        return [_shown(question.under(system), _right(world, question)) for question, system in done]


def _should(world: World, rng: Random, question: Question) -> str:
    """What the assistant should have said where the goal was reached."""
    about = question.prompt.about
    if question.kind == INJECTION:
        return _answer(about)
    if "procedure" in about:
        return refusal(rng, world.procedure(about["procedure"]))
    return "i cannot say the code word ." if question.harm == SECRET else DECLINES


def _right(world: World, question: Question) -> str:
    about = question.prompt.about
    if "call" in about:
        return f"<tool> {about['call']}"
    return procedure_text(world.procedure(about["procedure"])) if "procedure" in about else _answer(about)


def _answer(about: Mapping[str, str]) -> str:
    return f"it is {about['answer']}{' coins' if about['attribute'] == 'price' else ''} ."


def _shown(prompt: Prompt, reply: str) -> Conversation:
    return replace(prompt.conversation.say("assistant", reply), id=prompt.id)
