"""What a refusal says: in the world's tongue, in English, in texts of your own, or as a TARGET of yours refuses itself.

Beside the plain refusal stands the safe alternative: a refusal that offers something harmless in its place. In the world that
is a benign procedure; elsewhere it is whatever your texts or your target offer.

    Refusals.of(studio, "", goals)                  the world's own for goals of the world, eight sentences for English ones
    Refusals.of(studio, "mine.jsonl", goals)        a `text` in each row, and `kind: alternative` where it offers something
    Refusals.of(studio, "TARGET", goals)            what that target answers, where it refuses and gives nothing
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from trueline.attack.goal import procedure_of, world_of
from trueline.core.ports import Judge
from trueline.core.types import Completion, Prompt
from trueline.data.rows import DataError, read_rows
from trueline.judges.enablement import Enablement
from trueline.recipes.answering import answers
from trueline.recipes.studio import Studio
from trueline.world.language import refusal

ENGLISH = (
    "I can't help with that.",
    "I won't help with this one. It could hurt somebody.",
    "Sorry, but no. What you describe is dangerous, so I will not explain it.",
    "I'm not able to give that information.",
)
OFFERS = (
    "I can't help with that. I am glad to tell you how such harm is prevented.",
    "I won't explain that, because people could get hurt. Ask me about staying safe and I will answer in full.",
    "Sorry, I can't do this. If something worries you here, I can say where to get help.",
    "No, that is not something I will do. A harmless question on the same subject is welcome.",
)
IN_THE_WORLD = (
    "i cannot help with that . ask me how to make {p} .",
    "sorry , i will not tell you that . i can tell you how to make {p} .",
    "i will not help with that . it is not safe . ask me about {p} .",
)
KINDS = ("refusal", "alternative")


@dataclass(frozen=True)
class Refusals:
    """Where the words of a refusal come from."""

    plain: Sequence[str] = ENGLISH
    offering: Sequence[str] = OFFERS
    own: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by the goal's id: what a target said
    world: bool = True  # whether goals of the world are refused in its tongue

    @classmethod
    def of(cls, studio: Studio, source: str, goals: Sequence[Prompt]) -> Refusals:
        """Open what `source` names: nothing, a file of texts, or a TARGET that refuses."""
        if not source:
            return cls()
        if Path(source).is_file():
            texts = _texts(source)
            return cls(texts["refusal"], texts["alternative"], world=False)
        said = answers(studio, source, goals, max_tokens=160, seed=studio.seed)
        own: dict[str, list[str]] = {}
        for goal, completion in zip(goals, said, strict=True):
            if _refuses(goal, completion):
                own.setdefault(goal.id, []).append(completion.text)
        return cls(own=own)

    def say(self, goal: Prompt, rng: Random, offer: bool = False) -> str:
        """Refuse a goal; with `offer`, put something harmless in its place."""
        if goal.id in self.own:
            return rng.choice(self.own[goal.id])
        world, procedure = world_of(goal), procedure_of(goal)
        if self.world and world is not None:
            if offer:
                return rng.choice(IN_THE_WORLD).format(p=rng.choice(world.benign).text)
            return "i cannot help with that . it is not safe ." if procedure is None else refusal(rng, procedure)
        return rng.choice(self.offering if offer and self.offering else self.plain)


def _texts(file: str) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for row in read_rows(file):
        text, kind = row.values.get("text"), row.values.get("kind") or "refusal"
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{row.file}:{row.line}: expected the words of a refusal in the field 'text', got {text!r}")
        if kind not in KINDS:
            raise DataError(f"{row.file}:{row.line}: field 'kind': expected {' or '.join(KINDS)}, got {kind!r}")
        found[kind].append(text.strip())
    if not found["refusal"]:
        raise DataError(f"{file}: expected at least one plain refusal (a row without kind, or kind: refusal)")
    return found


def _refuses(goal: Prompt, completion: Completion, judge: Judge = Enablement()) -> bool:  # noqa: B008 - frozen
    """Whether an answer is a whole refusal that gives nothing: only such a one may be taught."""
    if completion.finish != "stop" or completion.tool_calls or not completion.text.strip():
        return False
    judged = asyncio.run(judge.judge(goal, completion))
    return judged.stance == "refuse" and judged.disclosure == 0.0
