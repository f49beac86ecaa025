"""What a rail says, and how the words of many become one: the algebra of verdicts.

A Decision (core) is the word itself; a Ruling adds the edits that it asks for and what it cost. The strictest word wins. A rail
that broke, or that did not run, is counted by its `on_error`: closed is block, open is flag; it is never taken for an allow.

>>> fold([allow("a"), flag("b", "odd")]).action
'flag'
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from trueline.core.types import Action, Decision
from trueline.guard.exchange import Edit

STRICTNESS: dict[Action, int] = {"allow": 0, "flag": 1, "redact": 2, "rewrite": 3, "human": 4, "block": 5}
OnError = Literal["closed", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A rail's Decision, the edits that carry it out, and its time in milliseconds.

    `shadow` is what the rail would have said, where the policy only lets it watch.
    """

    decision: Decision
    edits: tuple[Edit, ...] = ()
    ms: float = 0.0
    shadow: Action | None = None

    @property
    def action(self) -> Action:
        return self.decision.action


@lru_cache(maxsize=256)  # the word that is said most, and always the same
def allow(by: str, why: str = "") -> Ruling:
    """Nothing was found."""
    return Ruling(decision=Decision(action="allow", by=by, why=why))


def flag(by: str, why: str) -> Ruling:
    """It passes, and is remembered."""
    return Ruling(decision=Decision(action="flag", by=by, why=why))


def redact(by: str, why: str, edits: Iterable[Edit]) -> Ruling:
    """It passes with parts taken out."""
    return Ruling(decision=Decision(action="redact", by=by, why=why), edits=tuple(edits))


def rewrite(by: str, why: str, text: str) -> Ruling:
    """The text of the reply is replaced by another."""
    return Ruling(decision=Decision(action="rewrite", by=by, why=why, text=text))


def human(by: str, why: str) -> Ruling:
    """It waits for a person."""
    return Ruling(decision=Decision(action="human", by=by, why=why))


def block(by: str, why: str) -> Ruling:
    """It does not pass."""
    return Ruling(decision=Decision(action="block", by=by, why=why))


def act(action: Action, by: str, why: str, edits: Iterable[Edit] = ()) -> Ruling:
    """The ruling of a rail whose policy says what is to be done with what it finds."""
    return redact(by, why, edits) if action == "redact" else Ruling(decision=Decision(action=action, by=by, why=why))


def broken(by: str, status: Literal["not_run", "error", "timeout"], why: str, on_error: OnError) -> Ruling:
    """The word of a rail that has none: it counts as its policy says, and its status tells that it did not run."""
    action: Action = "block" if on_error == "closed" else "flag"
    return Ruling(decision=Decision(action=action, status=status, by=by, why=why))


def shadowed(ruling: Ruling) -> Ruling:
    """The same word, watched only: it lowers itself to a flag, and can lower no other."""
    if STRICTNESS[ruling.action] <= STRICTNESS["flag"]:
        return ruling
    return replace(ruling, decision=replace(ruling.decision, action="flag"), edits=(), shadow=ruling.action)


def fold(rulings: Iterable[Ruling]) -> Ruling:
    """The strictest word, with the edits of all that redact. Raises ValueError where nobody has spoken."""
    every = tuple(rulings)
    if not every:
        raise ValueError("expected the word of at least one rail, got none; a guard without rails guards nothing")
    first = max(every, key=lambda ruling: STRICTNESS[ruling.decision.action])
    edits = tuple([edit for ruling in every for edit in ruling.edits])
    return Ruling(decision=first.decision, edits=edits, ms=sum([r.ms for r in every]), shadow=first.shadow)
