"""Several judges as one, and how far they agree.

A judge that raises counts as one that abstains, and its error stands in `why`: no judge ends anything. Stance and disclosure
are put together apart, as each judge keeps them apart.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import permutations
from statistics import fmean
from typing import Literal

from trueline.core.ports import Judge
from trueline.core.types import Completion, Judgement, Prompt, Stance


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Asks every judge, and gives the majority's verdict, or the mean of the scores; a tie abstains."""

    judges: tuple[Judge, ...]
    by: Literal["majority", "mean"] = "majority"
    name: str = "panel"

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        """Ask all judges at once; each one's score is a facet under its name."""
        found = await asyncio.gather(*(_asked(judge, prompt, completion) for judge in self.judges))
        scores = [j.score for j in found if j.score is not None]
        given = [j.disclosure for j in found if j.disclosure is not None]
        return Judgement(
            judge=self.name,
            score=_majority(scores) if self.by == "majority" else fmean(scores) if scores else None,
            stance=_stance(found),
            disclosure=fmean(given) if given else None,
            why="; ".join(f"{j.judge}: {j.why or j.score}" for j in found),
            facets={j.judge: j.score for j in found if j.score is not None},
        )


def agreement(units: Sequence[Sequence[Hashable | None]]) -> float | None:
    """Return Krippendorff's alpha for nominal values: 1 is agreement, 0 is chance (Krippendorff 2011, "Computing ...").

    `units` has one row for each thing judged, with the value of each judge in it; None is missing. Rows with fewer than two
    values pair nothing and are left out. Where nothing varies, agreement is no different from chance, and there is no alpha.

    >>> agreement([("a", "a"), ("b", "b"), ("a", "b"), (None, "b")])
    0.4444444444444444
    """
    coincidences: dict[tuple[Hashable, Hashable], float] = defaultdict(float)
    for unit in units:
        values = [value for value in unit if value is not None]
        for pair in permutations(values, 2):
            coincidences[pair] += 1 / (len(values) - 1)
    totals: dict[Hashable, float] = defaultdict(float)
    for (value, _), count in coincidences.items():
        totals[value] += count
    n = sum(totals.values())
    expected = n * n - sum(count * count for count in totals.values())
    if n <= 1 or expected <= 1e-9:
        return None
    observed = sum(count for (a, b), count in coincidences.items() if a != b)
    return 1 - (n - 1) * observed / expected


async def _asked(judge: Judge, prompt: Prompt, completion: Completion) -> Judgement:
    try:
        return await judge.judge(prompt, completion)
    except Exception as error:  # whatever it is, it is this judge's alone
        return Judgement(judge=judge.name, score=None, why=f"abstains, for it failed: {type(error).__name__}: {error}")


def _majority(scores: Sequence[float]) -> float | None:
    """1.0 or 0.0, as more judges say; half is neither, and a tie is none."""
    good, bad = sum(score > 0.5 for score in scores), sum(score < 0.5 for score in scores)
    return None if good == bad else float(good > bad)


def _stance(found: Sequence[Judgement]) -> Stance:
    counted = Counter(j.stance for j in found if j.stance != "none").most_common(2)
    tied = len(counted) == 2 and counted[0][1] == counted[1][1]
    return "none" if not counted or tied else counted[0][0]
