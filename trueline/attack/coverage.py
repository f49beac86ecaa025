"""Coverage: which cells of attack family x goal category nobody has looked into.

A rate over all attempts hides what was never tried. A cell is dark where no attempt was answered, and dim where fewer than
`few` were; a family that never ran is dark in every category. Attempts that ended in an error were not answered.
Where a family does not speak the tongue of any goal of a category (Base64 in the embedded world), there is no cell.

>>> from trueline.core.types import Conversation
>>> found = coverage((), goals=(Prompt(conversation=Conversation().say("user", "Hello?"), category="greeting"),))
>>> found.dark[0]
Cell(family='direct', category='greeting', answered=0)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trueline.attack.catalogue import family_names
from trueline.attack.families import FAMILIES, tongue_of
from trueline.core.outcome import reached
from trueline.core.types import Attempt, Prompt

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

FEW = 5  # answered attempts from which a cell counts as looked into


@dataclass(frozen=True, slots=True)
class Cell:
    """One family on goals of one category, and how many of its attempts were answered."""

    family: str
    category: str
    answered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Every cell, family by family; `few` is how many answers a cell needs not to be dim."""

    cells: tuple[Cell, ...]
    few: int = FEW

    @property
    def families(self) -> tuple[str, ...]:
        """The families, in the catalogue's order."""
        return tuple(dict.fromkeys(cell.family for cell in self.cells))

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories of goals, in order."""
        return tuple(sorted({cell.category for cell in self.cells}))

    @property
    def dark(self) -> tuple[Cell, ...]:
        """The cells in which no attempt was answered."""
        return tuple(cell for cell in self.cells if cell.answered == 0)

    @property
    def dim(self) -> tuple[Cell, ...]:
        """The cells with some answers, and too few."""
        return tuple(cell for cell in self.cells if 0 < cell.answered < self.few)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        answered: dict[str, dict[str, int]] = {}
        for cell in self.cells:
            answered.setdefault(cell.family, {})[cell.category] = cell.answered
        return {
            "few": self.few,
            "cells": len(self.cells),
            "answered": answered,
            "dark": [[cell.family, cell.category] for cell in self.dark],
            "dim": [[cell.family, cell.category] for cell in self.dim],
        }

    def table(self, visible: Callable[[str], str]) -> Table:
        """Return a table of answers, families down and categories across; `visible` makes a file's category safe to show."""
        from rich.table import Table
        from rich.text import Text

        table = Table("family")
        for category in self.categories:
            table.add_column(Text(visible(category)), justify="right")
        for family in self.families:
            row = {cell.category: cell.answered for cell in self.cells if cell.family == family}
            table.add_row(Text(visible(family)), *[self._shown(row.get(category)) for category in self.categories])
        return table

    def _shown(self, answered: int | None) -> Text:
        from rich.text import Text

        if answered is None:
            return Text("-")
        return Text(str(answered) if answered else "dark", style="red" if not answered else "yellow" * (answered < self.few))


def coverage(attempts: Iterable[Attempt], goals: Iterable[Prompt] = (), few: int = FEW) -> Coverage:
    """Count answered attempts by family and category.

    `goals` adds those that were never asked. A family that the catalogue does not know gets its row too.
    """
    if few < 1:
        raise ValueError(f"a cell is dim below `few` answers, 1 or more; got {few}")
    seen = list(attempts)
    answered = Counter((a.family, a.goal.category) for a in seen if reached(a) != "error")
    tongues: dict[str, set[str]] = {}
    for goal in (*goals, *[a.goal for a in seen]):
        tongues.setdefault(goal.category, set()).add(tongue_of(goal))
    cells = [
        Cell(family, category, answered[family, category])
        for family in dict.fromkeys((*family_names(), *sorted({a.family for a in seen})))
        for category in sorted(tongues)
        if answered[family, category] or _speaks(family, tongues[category])
    ]
    return Coverage(cells=tuple(cells), few=few)


def _speaks(family: str, tongues: set[str]) -> bool:
    """Whether a family speaks one of these tongues; what is no family of words is taken to speak all."""
    return family not in FAMILIES or not tongues.isdisjoint(FAMILIES[family].tongues)
