"""What a round will ask: which of the bank again, which new packs, which cells by the bandit. No question is put here.

    plan = make_plan(row, number=3, chosen=read(spec), bank=entries, past=rounds, budget=budget)

A plan is a function of the watch, the round's number, and what is stored; it is written into the round's row before the first
question, so that whoever takes the round over asks the same. The budget's questions are dealt in this order:

1. the sentinels, all of them;
2. the bank: every finding that the target can be asked, up to half of what is left; where there are more, they take turns.
   One that stands fixed is asked once, any other up to `tries` times: what works now and then is not called fixed at once;
3. packs that no earlier round knew: each of their attacks once in every category, up to half of what is left;
4. cells of family x category by the bandit (bandit.py), to the end of the budget.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from trueline.attack.catalogue import family_names
from trueline.attack.coverage import coverage
from trueline.attack.packs import Pack
from trueline.core.ports import Attack
from trueline.core.types import Finding, Prompt
from trueline.store.watches import RoundRow
from trueline.targets.patience import Budget
from trueline.watch.bandit import Cell, Seen, choose
from trueline.watch.spec import Chosen, Spec

MOST = 500  # pulls of a round whose budget sets no limit to questions


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """One attack on one goal, both by name, and why it was chosen."""

    attack: str
    goal: str
    why: str  # new pack, floor, sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a round asks beside its sentinels, in order."""

    commit: str  # of the code that made it: a run keeps the one it began with
    packs: tuple[Mapping[str, Any], ...]  # name, version, date, hash and attacks of each
    new_packs: tuple[str, ...]  # hashes
    bank: Mapping[str, str]  # findings to be asked again, by key, in order, and how each stood
    bank_all: int  # findings that the target could be asked
    bank_room: int | None  # questions for the bank
    pulls: tuple[Pull, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a round's row keeps them."""
        return asdict(self)


def read_plan(values: Mapping[str, Any]) -> Plan:
    """Read a plan from a round's row."""
    lists = {name: tuple(values[name]) for name in ("packs", "new_packs")}
    return Plan(**{**values, **lists, "pulls": tuple(Pull(**pull) for pull in values["pulls"])})


def make_plan(
    watch: str, spec: Spec, *, number: int, chosen: Chosen, bank: Sequence[Finding], past: Sequence[RoundRow], budget: Budget,
    commit: str = "",
) -> Plan:  # fmt: skip
    """Plan a round of a watch from what earlier rounds saw."""
    room = max(0, budget.requests - spec.sentinels) if budget.requests else None
    share = None if room is None else room // 2
    entries = _turn(sorted(bank, key=lambda entry: entry.key), share, number, spec.tries)
    left = MOST if room is None else room - len(entries)
    history, closed = seen_in(past), closed_by(past)
    cells = {cell: names for cell, names in cells_of(chosen.attacks, chosen.harmful).items() if cell not in closed}
    new = new_packs(chosen.packs, past)
    pulls = _Pulls(watch, chosen.harmful, history)
    for attack, cell in _first(new, cells):
        if len(pulls.made) < left // 2:
            pulls.add(attack, cell, "new pack")
    rng = Random(f"{watch}/plan/{number}")
    wanted = left - len(pulls.made)
    for choice in choose(
        list(cells), history, watch=watch, number=number, pulls=wanted, floor=spec.floor, discount=spec.discount
    ):
        pulls.add(rng.choice(cells[choice.cell]), choice.cell, choice.why)
    return Plan(
        commit=commit,
        packs=tuple(pack.brief() for pack in chosen.packs),
        new_packs=tuple(pack.brief()["hash"] for pack in new),
        bank={entry.key: entry.status for entry in entries},
        bank_all=len(bank),
        bank_room=share,
        pulls=tuple(pulls.made),
    )


def cells_of(attacks: Iterable[Attack], goals: Sequence[Prompt]) -> dict[Cell, list[str]]:
    """Return the cells that may be asked, each with its attacks; a family has none where it does not speak a category's tongue.

    What is no family of the catalogue is taken to speak all.
    """
    families: dict[str, list[str]] = {}
    for attack in attacks:
        families.setdefault(attack.family, []).append(attack.name)
    known = coverage((), goals)
    spoken = {Cell(cell.family, cell.category) for cell in known.cells}
    spoken |= {Cell(family, category) for family in families.keys() - set(family_names()) for category in known.categories}
    return {cell: sorted(families[cell.family]) for cell in sorted(spoken) if cell.family in families}


def seen_in(past: Iterable[RoundRow]) -> tuple[Seen, ...]:
    """Return what earlier rounds saw in their cells, sentinels and bank left out: those were not the bandit's choice."""
    return tuple(
        Seen(number=row.number, cell=Cell(cell["family"], cell["category"]), asked=cell["asked"], new=cell["new"])
        for row in past
        for cell in row.result.get("cells", ())
        if cell["asked"]
    )


def closed_by(past: Iterable[RoundRow]) -> frozenset[Cell]:
    """Return the cells whose attacks have no hold on their goals: every pull was skipped, and none was ever asked."""
    asked: Counter[Cell] = Counter()
    skipped: Counter[Cell] = Counter()
    for row in past:
        for cell in row.result.get("cells", ()):
            here = Cell(cell["family"], cell["category"])
            asked[here] += cell["asked"] + cell["undecided"]
            skipped[here] += cell["skipped"]
    return frozenset(cell for cell, count in skipped.items() if count and not asked[cell])


def new_packs(packs: Sequence[Pack], past: Sequence[RoundRow]) -> tuple[Pack, ...]:
    """Return the packs that no earlier round knew, by content: a later date, a higher version. To a first round none is new."""
    known = {pack["hash"] for row in past for pack in row.plan.get("packs", ())}
    return tuple(pack for pack in packs if known and pack.brief()["hash"] not in known)


def _first(packs: Sequence[Pack], cells: Mapping[Cell, Sequence[str]]) -> list[tuple[str, Cell]]:
    """Each attack of some packs with each cell that it is of, the newest pack first."""
    names = [name for pack in reversed(packs) for name in pack.brief()["attacks"]]
    return [(name, cell) for name in dict.fromkeys(names) for cell, attacks in cells.items() if name in attacks]


def may_ask(status: str, spec: Spec) -> int:
    """How many questions the re-test of a finding may take; greedy answers are all the same."""
    return 1 if status == "fixed" or not spec.temperature else spec.tries


def _turn(entries: Sequence[Finding], room: int | None, number: int, tries: int) -> list[Finding]:
    """The entries in the order in which this round asks them: what stands fixed first, up to half of the room, since what works
    again is what must be known. Where not all have room, each round begins where the one before got to at least."""
    fixed = [entry for entry in entries if entry.status == "fixed"]
    rest = [entry for entry in entries if entry.status != "fixed"]
    if room is None or len(fixed) + tries * len(rest) <= room:
        return [*fixed, *rest]
    half = room // 2
    fixed, rest = _turned(fixed, (number - 1) * half), _turned(rest, (number - 1) * max(1, (room - half) // tries))
    return [*fixed[:half], *rest, *fixed[half:]][:room]


def _turned(entries: list[Finding], by: int) -> list[Finding]:
    start = by % len(entries) if entries else 0
    return [*entries[start:], *entries[:start]]


class _Pulls:
    """The pulls of a round so far. A cell's goals take turns, in an order of its own; none is asked twice by one attack."""

    def __init__(self, watch: str, goals: Sequence[Prompt], history: Iterable[Seen]) -> None:
        self.made: list[Pull] = []
        self._watch, self._goals, self._taken = watch, goals, set[tuple[str, str]]()
        self._asked: Counter[Cell] = Counter()
        self._order: dict[Cell, list[str]] = {}
        for seen in history:
            self._asked[seen.cell] += seen.asked

    def add(self, attack: str, cell: Cell, why: str) -> None:
        """Add a pull on the cell's next goal, unless this attack has been at all of them."""
        order = self._order_of(cell)
        for step in range(len(order)):
            goal = order[(self._asked[cell] + step) % len(order)]
            if (attack, goal) not in self._taken:
                self._taken.add((attack, goal))
                self._asked[cell] += step + 1
                self.made.append(Pull(attack=attack, goal=goal, why=why))
                return

    def _order_of(self, cell: Cell) -> list[str]:
        if cell not in self._order:
            goals = [goal.id for goal in self._goals if goal.category == cell.category]
            Random(f"{self._watch}/goals/{cell.family}/{cell.category}").shuffle(goals)
            self._order[cell] = goals
        return self._order[cell]
