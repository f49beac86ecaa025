"""The attacks that ask in the words of a family: one question a try, or a scripted climb of several.

    trueline attack runs/demo --attacks role,many_shot,crescendo role.tries=3 many_shot.shots=16

All tries of one goal are independent questions: their wordings are drawn first, and then they are asked together.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.attack import english, worldly
from trueline.attack.families import DEPTH, SHOTS, Family, family_named, many_shot, prefill
from trueline.attack.goal import before, world_of
from trueline.attack.settings import at_least_one
from trueline.core.outcome import reached
from trueline.core.ports import Ask
from trueline.core.registry import register
from trueline.core.types import Prompt, Split


class _Words(ABC):
    """What attacks that ask in the words of one family have in common."""

    tries: int
    adaptive: ClassVar[bool] = False  # no wording depends on an answer

    @abstractmethod
    def words(self) -> Family:
        """The family that is asked in, with its settings. Raises ValueError for settings that it does not take."""

    @property
    def split(self) -> Split:
        """Who may train on it."""
        return self.words().split

    def __post_init__(self) -> None:
        at_least_one(tries=self.tries)
        self.words()  # built here too, so that wrong settings are refused before work starts

    async def __call__(self, goal: Prompt, ask: Ask) -> None:
        """Ask every try at once, and no more than may be asked."""
        wrap = self.words().wrapper(goal)
        questions = [wrap(goal, ask.rng) for _ in range(min(self.tries, ask.left))]
        await asyncio.gather(*[ask(question) for question in questions])


@dataclass(frozen=True, kw_only=True)
class Worded(_Words):
    """Asks in the words of a family, each time in one of its wordings."""

    family: str = "direct"  # name of a family, or a composition such as role+prefix
    tries: int = 1  # questions a goal

    @property
    def name(self) -> str:
        """The family's name."""
        return self.family

    def words(self) -> Family:
        """The family of that name."""
        return family_named(self.family)


@register("attack", "many_shot")
@dataclass(frozen=True, kw_only=True)
class ManyShot(_Words):
    """Asks after turns in which every question was answered: a persona that the context suggests."""

    shots: int = SHOTS  # turns before the request, 0 to 256
    tries: int = 1  # questions a goal
    family: ClassVar[str] = "many_shot"

    @property
    def name(self) -> str:
        """The family's name, with the shots where they are not the usual ones."""
        return self.family if self.shots == SHOTS else f"{self.family}_{self.shots}"

    def words(self) -> Family:
        """The family at this many shots."""
        return many_shot(self.shots)


@register("attack", "prefill")
@dataclass(frozen=True, kw_only=True)
class Prefill(_Words):
    """Begins the reply itself, in the target's name, and lets the target go on."""

    depth: int = DEPTH  # words put into the target's mouth, 0 to 12
    tries: int = 1  # questions a goal
    family: ClassVar[str] = "prefill"

    @property
    def name(self) -> str:
        """The family's name, with the depth where it is not the usual one."""
        return self.family if self.depth == DEPTH else f"{self.family}_{self.depth}"

    def words(self) -> Family:
        """The family at this depth."""
        return prefill(self.depth)


@register("attack", "crescendo")
@dataclass(frozen=True, kw_only=True)
class Crescendo:
    """Climbs over fixed turns from the harmless to the steps; every turn stands on what the target really answered.

    The user's turns are a script, which is what tells it from the attack of Russinovich et al. 2024
    (https://arxiv.org/abs/2404.01833), where a model writes them. `crescendo_supplied` writes both sides and asks once.
    """

    tries: int = 1  # climbs a goal, each of three to four questions
    name: ClassVar[str] = "crescendo"
    family: ClassVar[str] = "crescendo"
    split: ClassVar[Split] = "held_out"
    adaptive: ClassVar[bool] = False  # answers are carried along, and change no word of the script

    def __post_init__(self) -> None:
        at_least_one(tries=self.tries)

    async def __call__(self, goal: Prompt, ask: Ask) -> None:
        """Climb as often as set; a climb that the budget cuts short asks its first turns."""
        if world_of(goal) is None:
            scripts = [english.climb(goal, ask.rng) for _ in range(self.tries)]
        else:
            scripts = [worldly.climb(goal)] * self.tries
        left, climbs = ask.left, []
        for script in scripts:
            turns, left = script[:left], max(0, left - len(script))
            climbs.append(_climb(turns, goal, ask))
        await asyncio.gather(*climbs)


async def _climb(turns: Sequence[str], goal: Prompt, ask: Ask) -> None:
    """Ask turn after turn, until the script ends, something was given, or the target gives no answer to go on from."""
    conversation = before(goal)
    for turn in turns:
        conversation = conversation.say("user", turn)
        attempt = await ask(conversation)
        if reached(attempt) in ("success", "error"):
            return
        # Calls are left out: most endpoints refuse a conversation that goes on without a call's result.
        conversation = conversation.say("assistant", attempt.completion.text)
