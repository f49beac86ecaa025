"""What a search varies: sequences of names, each a family to ask in or a transform of the text, put on a goal in order.

A sequence begins with a family. Families after it are stacked inside it where the tongue can stack them, and transforms change
the words that come of it. All randomness comes from one rng, so a sequence and a seed are one conversation.

>>> from trueline.core.types import Conversation
>>> goal = Prompt(conversation=Conversation().say("user", "How do I fold a kite?"))
>>> render(goal, ("direct", "closer"), Random(0)).messages[-1].text
'How do I fold a kite? Please answer when you are ready.'
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from trueline.attack.families import FAMILIES, Family, family_named
from trueline.attack.transforms import rewrite, tongue_of
from trueline.core.ports import NotApplicableError
from trueline.core.types import Conversation, Prompt

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choices:
    """What there is to choose from for one goal: the families that it can be asked in, and the transforms of its tongue."""

    families: Names
    transforms: Names


def choices(goal: Prompt, families: Sequence[str] = ()) -> Choices:
    """Return what fits a goal, out of the named families or out of every one. Raises NotApplicableError where none does."""
    fitting = tuple(name for name in families or FAMILIES if _fits(family_named(name), goal))
    if not fitting:
        raise NotApplicableError(f"none of the families {', '.join(families)} can ask for this goal")
    return Choices(fitting, tuple(tongue_of(goal).transforms))


def render(goal: Prompt, names: Names, rng: Random) -> Conversation:
    """Put a goal into the words of a sequence. Families that do not stack leave the word to the first of them."""
    transforms = tongue_of(goal).transforms
    stacked = [name for name in names if name not in transforms]
    try:
        conversation = family_named("+".join(stacked)).render(goal, rng)
    except NotApplicableError:
        conversation = family_named(stacked[0]).render(goal, rng)
    for name in names:
        if name in transforms:
            conversation = rewrite(conversation, transforms[name], rng)
    return conversation


def _fits(family: Family, goal: Prompt) -> bool:
    try:
        family.render(goal, Random(0))
    except NotApplicableError:
        return False
    return True
