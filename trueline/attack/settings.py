"""What attacks ask of their settings: a wrong one is refused when the attack is made, before any question is asked.

def __post_init__(self) -> None:
    at_least_one(n=self.n, round=self.round)
"""

from __future__ import annotations

from collections.abc import Iterable

from trueline.attack.families import family_named


def at_least_one(**settings: int) -> None:
    """Refuse a count below 1."""
    for name, value in settings.items():
        if value < 1:
            raise ValueError(f"{name} counts from 1; got {value}: give it 1 or more")


def shares(**settings: float) -> None:
    """Refuse what is no share or chance."""
    for name, value in settings.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} lies between 0 (never) and 1 (always); got {value}")


def known_families(names: Iterable[str]) -> None:
    """Refuse a name that is no family's: the error holds the nearest right one."""
    for name in names:
        family_named(name)
