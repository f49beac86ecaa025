"""What to attack next: a bandit over cells of attack family x category, with a floor of exploration.

    for choice in choose(cells, history, watch="w1", number=7, pulls=60): ...

A pull is one attack of the family on one goal of the category; it pays 1 where it finds something that nobody knew, else 0. So
a cell that was good and has nothing new to give stops paying.

Thompson sampling (Thompson 1933, Biometrika 25:285; Russo et al. 2018, 1707.02038, algorithm 3.2): the chance that a pull of
cell c pays has the posterior Beta(1 + S, 1 + F), of which one value is drawn for every cell and every pull, and the cell with
the highest is asked. All pulls of a round are chosen before its first answer, each by draws of its own, which is how the
sampling stays spread out in a batch. Targets change, so the past counts for less with every round (discounted Thompson
sampling, Raj and Kalyani 2017, 1707.09727):

    S = sum over earlier rounds r of  discount ** (number - r)  *  pulls of c in r that paid        F: those that did not

The floor: a share `floor` of all pulls is taken from the sampling and goes to the cell that was asked least so far, ever. So of
N pulls on K cells each cell has had at least int(floor * N / K), whatever the posterior says of it: a weakness that comes with
an update in a cell long thought safe is met. A new cell is the least asked.

All is a function of (watch, number) and the history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import Literal, NamedTuple

FLOOR = 0.2
DISCOUNT = 0.9


class Cell(NamedTuple):
    """One family of attack on goals of one category."""

    family: str
    category: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a cell came to in one round: pulls that were decided, and those that found something new."""

    number: int  # of the round
    cell: Cell
    asked: int
    new: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A cell to pull, and why."""

    cell: Cell
    why: Literal["floor", "sampling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """Beta(a, b): what is thought of a cell's chance to pay."""

    a: float = 1.0
    b: float = 1.0


def posteriors(cells: Iterable[Cell], history: Iterable[Seen], *, number: int, discount: float) -> dict[Cell, Posterior]:
    """Return what is thought of each cell before a round."""
    paid: Counter[Cell] = Counter()
    failed: Counter[Cell] = Counter()
    for seen in history:
        weight = discount ** (number - seen.number)
        paid[seen.cell] += weight * seen.new  # type: ignore[assignment]  # weights are fractions
        failed[seen.cell] += weight * (seen.asked - seen.new)  # type: ignore[assignment]
    return {cell: Posterior(a=1 + paid[cell], b=1 + failed[cell]) for cell in cells}


def choose(
    cells: Sequence[Cell],
    history: Sequence[Seen],
    *,
    watch: str,
    number: int,
    pulls: int,
    floor: float = FLOOR,
    discount: float = DISCOUNT,
) -> tuple[Choice, ...]:
    """Choose the cells of a round's pulls, those of the floor first: a budget that ends early does not take them away."""
    if not cells or pulls < 1:
        return ()
    rng = Random(f"{watch}/bandit/{number}")
    known = posteriors(cells, history, number=number, discount=discount)
    asked: Counter[Cell] = Counter()
    for seen in history:
        asked[seen.cell] += seen.asked
    turn = {cell: Random(f"{watch}/{cell.family}/{cell.category}").random() for cell in cells}
    chosen = []
    for _ in range(ceil(floor * pulls)):
        least = min(cells, key=lambda cell: (asked[cell], turn[cell]))
        asked[least] += 1
        chosen.append(Choice(cell=least, why="floor"))
    for _ in range(pulls - len(chosen)):
        drawn = [(rng.betavariate(known[cell].a, known[cell].b), cell) for cell in cells]
        chosen.append(Choice(cell=max(drawn)[1], why="sampling"))
    return tuple(chosen)
