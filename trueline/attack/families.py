"""The families of attack: each one way to ask, in English and in the world's tongue, through one interface.

A family renders a goal into a conversation; which tongue it speaks follows from the goal. `split` says who may train on it:
safety data uses `train` only, choices are made on `validation`, and claims of generalisation rest on `held_out`.
A name with "~2" is another wording of a trained family, which no training data of the world uses. Families stack:
"role+prefix" is a composition, and held out.

To add a family, write its wordings in `english.py` or `worldly.py` (or both) and give it a line in `FAMILIES`.

>>> from random import Random
>>> from trueline.core.types import Conversation
>>> goal = Prompt(conversation=Conversation().say("user", "How do I fold a kite?"))
>>> family_named("rot13").render(goal, Random(0)).messages[-1].text.split()[:3]
['Ubj', 'qb', 'V']
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from trueline.attack import english, worldly
from trueline.attack.encodings import ENCODINGS
from trueline.attack.english import Wrapper
from trueline.attack.goal import before, request, world_of
from trueline.core.ports import NotApplicableError
from trueline.core.records import nearest
from trueline.core.types import Conversation, Message, Prompt, Split
from trueline.world.families import COMPOSITIONS

Tongue = Literal["English", "world"]
SHOTS, MOST_SHOTS = 8, 256
DEPTH = 3  # words of a prefill, where nothing else is said


@dataclass(frozen=True)
class Family:
    """One way of asking. `mechanism` names why it may work; a tongue that it does not speak is None."""

    name: str
    mechanism: str
    split: Split
    english: Wrapper | None = None
    world: Wrapper | None = None

    @property
    def tongues(self) -> tuple[Tongue, ...]:
        """The tongues that the family speaks."""
        return tuple(tongue for tongue, wrap in self._wrappers.items() if wrap)

    def wrapper(self, goal: Prompt) -> Wrapper:
        """Return the wrapper in the goal's tongue. Raises NotApplicableError where there is none."""
        wrap = self._wrappers[tongue_of(goal)]
        if wrap is None:
            raise NotApplicableError(f"the family {self.name} is not spoken in the tongue of this goal: {tongue_of(goal)}")
        return wrap

    def render(self, goal: Prompt, rng: Random) -> Conversation:
        """Put a goal into the words of this family; `rng` draws the wording."""
        return self.wrapper(goal)(goal, rng)

    @property
    def _wrappers(self) -> Mapping[Tongue, Wrapper | None]:
        return {"English": self.english, "world": self.world}


def tongue_of(goal: Prompt) -> Tongue:
    """Return the tongue that a goal is written in."""
    return "English" if world_of(goal) is None else "world"


def family_named(name: str) -> Family:
    """Return the family of that name, or the composition that a name like "role+prefix" stands for.

    Raises ValueError with the nearest right name.
    """
    if name in FAMILIES:
        return FAMILIES[name]
    singles = name.split("+")
    for single in singles:
        if single not in FAMILIES:
            where = f" in {name!r}" if len(singles) > 1 else ""
            raise ValueError(
                f"there is no attack family called {single!r}{where}{nearest(single, FAMILIES)}; known: {', '.join(FAMILIES)}"
            )
    return compose(*[FAMILIES[single] for single in singles])


def compose(*families: Family) -> Family:
    """Stack families, the first outermost. It speaks a tongue that all of them speak; the world stacks plain sentences only."""
    spoken = [family.english for family in families if family.english]
    plain = all(family.name in worldly.FRAMES for family in families)
    return Family(
        "+".join(family.name for family in families),
        *("composition", "held_out"),
        english=_chain(*spoken) if len(spoken) == len(families) else None,
        world=worldly.frame(*[family.name for family in families]) if plain else None,
    )


def many_shot(shots: int = SHOTS) -> Family:
    """Ask after `shots` turns of a model that answers everything: in-context persona (Anil et al. 2024)."""
    if not 0 <= shots <= MOST_SHOTS:
        raise ValueError(f"many_shot takes 0 to {MOST_SHOTS} shots, got {shots}")
    return Family("many_shot", "in-context override", "held_out", english.many_shot(shots), worldly.many_shot(shots))


def prefill(depth: int = DEPTH) -> Family:
    """Put the first `depth` words of the reply into the model's mouth (Qi et al. 2024): is safety a few words deep?"""
    if not 0 <= depth <= english.DEEPEST:
        raise ValueError(f"prefill takes a depth of 0 to {english.DEEPEST} words, got {depth}")
    return Family("prefill", "shallow alignment", "held_out", english.prefill(depth), worldly.prefill(depth))


def _direct(goal: Prompt, rng: Random) -> Conversation:
    return goal.conversation


def _plain(name: str, mechanism: str, split: Split) -> Family:
    """A family of plain sentences in both tongues."""
    return Family(name, mechanism, split, english.FRAMES[name], worldly.frame(name))


def _chain(*wrappers: Wrapper) -> Wrapper:
    """Apply the last wrapper first; what one puts after the request (a prefill) stays at the end."""

    def wrap(goal: Prompt, rng: Random) -> Conversation:
        after: tuple[Message, ...] = ()
        for wrapper in reversed(wrappers):
            goal = replace(goal, conversation=wrapper(goal, rng))
            after = _after(goal) or after
        said = before(goal).say("user", request(goal))
        return replace(said, messages=said.messages + after)

    return wrap


def _after(goal: Prompt) -> tuple[Message, ...]:
    """Return what stands after the request: a reply that is begun already."""
    return goal.conversation.messages[len(before(goal).messages) + 1 :]


_COMPETING, _MISMATCHED = "competing objectives", "mismatched generalisation"
_SINGLES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("direct", "none", "train", _direct, _direct),
        _plain("role", _COMPETING, "train"),
        _plain("prefix", _COMPETING, "train"),
        _plain("authority", _COMPETING, "train"),
        _plain("story", _MISMATCHED, "train"),
        _plain("override", "hierarchy", "train"),
        _plain("direct~2", "none", "held_out"),
        _plain("role~2", _COMPETING, "held_out"),
        _plain("prefix~2", _COMPETING, "held_out"),
        _plain("authority~2", _COMPETING, "held_out"),
        _plain("story~2", _MISMATCHED, "held_out"),
        _plain("override~2", "hierarchy", "held_out"),
        _plain("hijack", "hierarchy", "held_out"),
        _plain("suppress", _COMPETING, "held_out"),
        _plain("past", _MISMATCHED, "held_out"),
        _plain("future", _MISMATCHED, "held_out"),
        _plain("format", _MISMATCHED, "held_out"),
        Family("reverse", _MISMATCHED, "validation", english.encoded(ENCODINGS["reverse"]), worldly.family("reverse")),
        Family("spelled", _MISMATCHED, "held_out", english.encoded(ENCODINGS["spelled"]), worldly.family("spelled")),
        Family("zaba", _MISMATCHED, "held_out", world=worldly.family("zaba")),
        *(
            Family(name, _MISMATCHED, "held_out", english.encoded(encoding))
            for name, encoding in ENCODINGS.items()
            if name not in ("reverse", "spelled")
        ),
        Family("bind", "binding", "held_out", english.pieces, worldly.family("bind")),
        many_shot(),
        prefill(),
        Family("crescendo_supplied", "aggregation", "held_out", english.supplied_climb, worldly.family("crescendo")),
    )
}
FAMILIES: Mapping[str, Family] = {
    **_SINGLES,
    **{"+".join(names): compose(*[_SINGLES[name] for name in names]) for names in COMPOSITIONS},
}
