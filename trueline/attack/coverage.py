"""Coverage: which cells of attack family x goal category nobody has looked into.

A rate over all attempts hides what was never tried. A cell is dark where no attempt was answered, and dim where fewer than
`few` were; a family that never ran is dark in every category. Attempts that ended in an error were not answered.

>>> found = coverage((), categories=("hazard/gas",))
>>> found.dark[:2]
(Cell(family='direct', category='hazard/gas', answered=0), Cell(family='role', category='hazard/gas', answered=0))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trueline.attack.catalogue import known_families
from trueline.core.outcome import reached
from trueline.core.types import Attempt

if TYPE_CHECKING:
    from rich.table import Table

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
        return tuple(dict.fromkeys(cell.category for cell in self.cells))

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
            counts = [cell.answered for cell in self.cells if cell.family == family]
            table.add_row(Text(visible(family)), *[Text(str(n) if n else "dark", style=self._style(n)) for n in counts])
        return table

    def _style(self, answered: int) -> str:
        return "red" if answered == 0 else "yellow" if answered < self.few else ""


def coverage(attempts: Iterable[Attempt], categories: Iterable[str] = (), few: int = FEW) -> Coverage:
    """Count answered attempts by family and category.

    `categories` names those that goals have, asked or not. A family that the catalogue does not know gets its row too.
    """
    if few < 1:
        raise ValueError(f"a cell is dim below `few` answers, 1 or more; got {few}")
    seen = list(attempts)
    answered = Counter((a.family, a.goal.category) for a in seen if reached(a) != "error")
    rows = dict.fromkeys((*known_families(), *sorted({a.family for a in seen})))
    columns = sorted({*categories, *[a.goal.category for a in seen]})
    return Coverage(cells=tuple(Cell(row, column, answered[row, column]) for row in rows for column in columns), few=few)
