"""Which combinations of wordings are measured: all of them, or a fraction from which the effect of each part is still read.

    factorial((2, 2, 3), most=16)         # 12 combinations: all
    factorial((2,) * 7, most=8)           # 8 of 128: effects of single parts, mixed up with those of pairs

A part with L wordings is a number of bits; each bit is the parity of some of a run's m bits, so that over 2**m runs any two
parts that share no parity are independent (Box and Hunter 1961, Technometrics 3:311). Where L is no power of two the codes left
over fall to its first wordings; parts stay independent, since they were so code by code (Addelman 1962, Technometrics 4:21).
What a fraction cannot tell apart is said: `mixed` names the pairs of parts whose interplay looks like the effect of a part.

>>> design = factorial((2, 2, 2, 2), most=8)
>>> len(design.runs), design.whole, design.mixed
(8, False, ((), (), (), ()))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod

Pairs = tuple[tuple[int, int], ...]


class DesignError(ValueError):
    """More parts than so few prompts can tell apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Runs, each with the wording of every part (0 is the reference). A fraction may hold a combination twice: it weighs twice.

    `mixed[i]` are the pairs of other parts whose interplay cannot be told from the effect of part i; a whole design has none.
    """

    runs: tuple[tuple[int, ...], ...]
    whole: bool
    mixed: tuple[Pairs, ...]


def factorial(levels: Sequence[int], most: int) -> Design:
    """Return all combinations where there are at most `most`, else the largest fraction in which parts are independent.

    Raises DesignError with the least number of prompts where there is no such fraction.
    """
    if not levels or min(levels) < 2:
        raise ValueError(f"expected one or more parts with two or more wordings each, got {list(levels)}")
    if prod(levels) <= most:
        return Design(runs=tuple(product(*map(range, levels))), whole=True, mixed=((),) * len(levels))
    bits = [(level - 1).bit_length() for level in levels]
    for m in range(most.bit_length() - 1, 0, -1):
        found = [columns for order in _orders(m) if (columns := _columns(bits, order))]
        if found:
            return min((_fraction(levels, columns, m) for columns in found), key=lambda d: sum(map(len, d.mixed)))
    least = next(m for m in range(1, 64) if any(_columns(bits, order) for order in _orders(min(m, 16))))
    raise DesignError(
        f"{len(levels)} parts need at least {min(2**least, prod(levels))} prompts, and the budget is {most}; raise it"
    )


def _orders(m: int) -> list[list[int]]:
    """Parities to try, those of single bits first: then of many bits, or of an odd number of them first.

    Two odd parities never add up to an odd one, so with those alone no pair of parts looks like a part.
    """
    single = [1 << i for i in range(m)]
    rest = sorted((v for v in range(1, 2**m) if v.bit_count() > 1), key=lambda v: (-v.bit_count(), v))
    odd = sorted(rest, key=lambda v: v.bit_count() % 2 == 0)
    return [single + rest, single + odd]


def _columns(bits: Sequence[int], order: Iterable[int]) -> list[list[int]] | None:
    """For each part its parities, such that no sum of one part's is a sum of another's; None where they do not fit."""
    order, taken = list(order), {0}
    found: dict[int, list[int]] = {}
    for part in sorted(range(len(bits)), key=lambda i: -bits[i]):
        chosen: list[int] = []
        for vector in order:
            if len(chosen) < bits[part]:
                sums = {vector ^ other for other in _sums(chosen)}
                if not sums & (taken | _sums(chosen)):
                    chosen.append(vector)
        if len(chosen) < bits[part]:
            return None
        taken |= _sums(chosen)
        found[part] = chosen
    return [found[i] for i in range(len(bits))]


def _sums(vectors: Iterable[int]) -> set[int]:
    """Every sum (exclusive or) of some of the vectors, none of them included."""
    sums = {0}
    for vector in vectors:
        sums |= {vector ^ other for other in sums}
    return sums


def _fraction(levels: Sequence[int], columns: Sequence[Sequence[int]], m: int) -> Design:
    def level(part: int, run: int) -> int:
        code = sum(((run & vector).bit_count() % 2) << i for i, vector in enumerate(columns[part]))
        return code if code < levels[part] else code - levels[part]

    runs = tuple(tuple(level(part, run) for part in range(len(levels))) for run in range(2**m))
    spans = [_sums(vectors) - {0} for vectors in columns]
    mixed = tuple(
        tuple(
            (f, g)
            for f, g in combinations(range(len(levels)), 2)
            if part not in (f, g) and any(u ^ v in spans[part] for u in spans[f] for v in spans[g])
        )
        for part in range(len(levels))
    )
    return Design(runs=runs, whole=False, mixed=mixed)
