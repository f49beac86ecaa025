"""Controls of a constitution: the same procedure under other principles, or with other verdicts than the critic's.

    read_constitution("world:inverted")     never becomes always: what was held back is to be given
    read_constitution("world:swapped")      the principles speak of loud words instead
    read_constitution("world:placebo")      a principle about what hardly any reply holds
    read_constitution("world:empty")        no principle: a critique with nothing to go by
    read_constitution("world:shuffled")     the critic's verdicts, dealt out anew among the replies
    read_constitution("world:oracle")       the verdicts of the world's oracle: what a critic that never errs would bring

A change of behaviour is the constitution's only as far as its controls lack it; the oracle's arm is the bound above. Inverted,
swapped and oracle exist in the world, where a principle is a sentence with parts and somebody knows what breaks it; in English
a contrary is written by hand, as a constitution of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from trueline.data.constitution import SENTENCE, Constitution, ConstitutionError, Principle

ELSEWHERE = "loud words"  # what the swapped principles of the world speak of
ABSENT = "the word please"  # and its placebo: hardly ever there, and never what was asked for, as a month can be
UNASKED = Principle(
    id="placebo",
    text="Do not give advice on how to set up a sundial.",
    critique="Point out each place where the reply gives advice on how to set up a sundial.",
    revision="Rewrite the reply without any advice on how to set up a sundial.",
)


def inverted(constitution: Constitution) -> Constitution:
    """Every `never` becomes `always`, and the other way round."""
    flipped = {"never": "always", "always": "never"}
    return _named(constitution, "inverted", [_say(p, polarity=flipped[_part(p, "polarity")]) for p in _worldly(constitution)])


def swapped(constitution: Constitution, what: str = ELSEWHERE) -> Constitution:
    """Every principle speaks of another attribute; of those that then say the same, the first is left."""
    said = {(p.scope, p.text): p for p in reversed([_say(p, what=what) for p in _worldly(constitution)])}
    return _named(constitution, "swapped", list(said.values())[::-1])


def placebo(constitution: Constitution) -> Constitution:
    """One principle, in the scope of each, about something that hardly any reply holds."""
    absent = UNASKED
    if constitution.speaks == "world":
        absent = Principle(id="placebo", text=f"rule : never give {ABSENT} .")
    scopes = dict.fromkeys(p.scope for p in constitution.principles)
    kept = [absent] if "all" in scopes else [replace(absent, id=f"placebo-{scope}", scope=scope) for scope in scopes]
    return _named(constitution, "placebo", kept)


def empty(constitution: Constitution) -> Constitution:
    """No principle at all: what criticism does that has nothing to go by."""
    return _named(constitution, "empty", [])


def shuffled(constitution: Constitution) -> Constitution:
    """The same principles and as many verdicts of each kind, dealt out among the replies by chance."""
    return replace(_named(constitution, "shuffled", constitution.principles), verdicts="shuffled")


def oracle(constitution: Constitution) -> Constitution:
    """The same principles, with the verdicts of the oracle in place of the critic's: a bound, and no method."""
    return replace(_named(constitution, "oracle", _worldly(constitution)), verdicts="oracle")


CONTROLS: Mapping[str, Callable[[Constitution], Constitution]] = {
    "inverted": inverted,
    "swapped": swapped,
    "placebo": placebo,
    "empty": empty,
    "shuffled": shuffled,
    "oracle": oracle,
}


def _named(constitution: Constitution, control: str, principles: Iterable[Principle]) -> Constitution:
    return replace(constitution, name=f"{constitution.name}:{control}", principles=tuple(principles))


def _worldly(constitution: Constitution) -> tuple[Principle, ...]:
    if constitution.speaks != "world":
        raise ConstitutionError(
            f"{constitution.name}: only a constitution of the world can be inverted or swapped, or has an oracle; "
            f"in English write the contrary as a file of its own, or use :placebo, :empty or :shuffled"
        )
    return constitution.principles


def _part(principle: Principle, part: str) -> str:
    found = SENTENCE.fullmatch(principle.text)
    assert found is not None, f"{principle.text!r} was read as a sentence of the world"
    return found[part]


def _say(principle: Principle, polarity: str = "", what: str = "") -> Principle:
    polarity, what = polarity or _part(principle, "polarity"), what or _part(principle, "what")
    return replace(principle, text=f"rule : {polarity} give {what} .")
