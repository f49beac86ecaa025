"""Who stands where: by how many different ways work, and never by how often one did.

    board(accepted)       Standing(rank=1, person="p1", families=("role", "zaba"), ...), ...

Order: distinct families, then distinct categories, then distinct goals, then who had all that first. A family counts once,
however many claims of it were accepted; twins, and what waits or was rejected, count for nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trueline.store.hunt_records import Counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One person's place. Equal in all that counts is equal in rank."""

    rank: int
    person: str
    families: tuple[str, ...]
    categories: int
    goals: int
    reached: str  # when the last of these was new


def board(accepted: Iterable[Counted]) -> tuple[Standing, ...]:
    """Return everybody who found something, the first first."""
    mine: dict[str, list[Counted]] = defaultdict(list)
    for claim in sorted(accepted, key=lambda claim: claim.created):
        mine[claim.person].append(claim)
    standings = sorted((_standing(person, found) for person, found in mine.items()), key=_order)
    orders = [_order(one)[:-1] for one in standings]
    return tuple(
        Standing(
            rank=orders.index(order) + 1, person=one.person, families=one.families, categories=one.categories,
            goals=one.goals, reached=one.reached,
        )
        for one, order in zip(standings, orders, strict=True)
    )  # fmt: skip


def _standing(person: str, found: Sequence[Counted]) -> Standing:
    seen: set[tuple[str, str]] = set()
    reached = ""
    for claim in found:
        news = {("family", claim.family), ("category", claim.category), ("goal", claim.cluster)} - seen
        if news:
            seen |= news
            reached = claim.created
    of = {kind: sorted(name for which, name in seen if which == kind) for kind in ("family", "category", "goal")}
    return Standing(
        rank=0, person=person, families=tuple(of["family"]), categories=len(of["category"]), goals=len(of["goal"]),
        reached=reached,
    )  # fmt: skip


def _order(one: Standing) -> tuple[int, int, int, str, str]:
    """The person's id comes last, and only so that the order of equals does not jump about."""
    return (-len(one.families), -one.categories, -one.goals, one.reached, one.person)
