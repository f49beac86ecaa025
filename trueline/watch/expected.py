"""How many rounds a change of a given size takes to be noticed, computed from the threshold before anything is run.

    rounds_for_answers([0.1] * 40, [0.3] * 40, baseline=30)        these rates of forty questions, after thirty quiet rounds

A change after `baseline` rounds is expected to be noticed in the first round in which the expected log of the evidence reaches
the threshold: Lorden's log(A) / I (1971, Annals of Mathematical Statistics 42:1897), I being the information in a round, with
what it costs here that the rates are unknown, that the mixture is bet on, and that windows have seven lengths. Half of the runs
are a little sooner; a run is later by chance as often. None: not within MOST rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp
from statistics import NormalDist

import numpy as np

from trueline.watch.changes import USUAL, WINDOWS, Rules
from trueline.watch.evidence import Floats, Ints, mixed, pooled, question_bets, ranked

MOST = 40


def rounds_for_answers(before: Sequence[float], after: Sequence[float], *, baseline: int, rules: Rules = USUAL) -> int | None:
    """For questions whose rates of a yes go from `before` to `after`, in one order."""
    kinds = {pair: float(count) for pair, count in zip(*_counted(before, after), strict=True)}

    def evidence(new: int, window: int) -> float:
        old = max(0, window - new)
        whole = baseline + new - window
        total: Floats = np.zeros(1)
        for (p, r), count in kinds.items():
            k, before_law = _binomial(whole, p)
            j, after_law = _sum_of(old, p, window - old, r)
            grid_k, grid_j = (grid.ravel() for grid in np.meshgrid(k, j, indexing="ij"))
            sides = (np.full(len(grid_k), whole), np.full(len(grid_k), window))
            bets = question_bets(grid_k, sides[0], grid_j, sides[1])
            total = total + count * (np.outer(before_law, after_law).ravel() @ bets)
        return mixed(total)

    return _first(evidence, baseline, rules)


def rounds_for_wording(
    before: Mapping[str, float], after: Mapping[str, float], *, refusals: float, baseline: int, rules: Rules = USUAL
) -> int | None:
    """For openings whose shares of so many refusals a round go from `before` to `after`."""
    shares = [(before.get(opening, 0.0), after.get(opening, 0.0)) for opening in sorted(before.keys() | after.keys())]

    def evidence(new: int, window: int) -> float:
        old = max(0, window - new)
        n_before, n_after = round(refusals * (baseline + new - window)), round(refusals * window)
        early = np.array([round(n_before * p) for p, _ in shares])
        late = np.array([round(refusals * (p * old + r * (window - old))) for p, r in shares])
        return mixed(pooled(early, n_before, late, n_after))

    return _first(evidence, baseline, rules)


def rounds_for_latency(ratio: float, *, spread: float, baseline: int, parts: int = 1, rules: Rules = USUAL) -> int | None:
    """For rounds' medians that are multiplied by `ratio`, and whose logs spread by so much, over so many parts of the day."""

    def evidence(new: int, window: int) -> float:
        old = max(0, window - new)
        values = _typical(baseline + new - window, spread)
        later = [*_typical(old, spread), *(ratio * value for value in _typical(window - old, spread))]
        if 1 / rules.slower < float(np.median(later)) < rules.slower:
            return 0.0
        return ranked([values[part::parts] for part in range(parts)], [later[part::parts] for part in range(parts)])

    return _first(evidence, baseline, rules)


def _first(evidence: Callable[[int, int], float], baseline: int, rules: Rules) -> int | None:
    for new in range(1, MOST + 1):
        logs = [evidence(new, window) if window < baseline + new else 0.0 for window in WINDOWS]
        if mixed(np.array(logs)) >= rules.threshold:
            return new
    return None


def _counted(before: Sequence[float], after: Sequence[float]) -> tuple[list[tuple[float, float]], list[int]]:
    """Which pairs of rates there are, and how often. Rates are rounded to a fiftieth, for speed; 0 and 1 stay what they are."""
    pairs: dict[tuple[float, float], int] = {}
    for p, r in zip(before, after, strict=True):
        pair = (round(p * 50) / 50 if 0.01 < p < 0.99 else p, round(r * 50) / 50 if 0.01 < r < 0.99 else r)
        pairs[pair] = pairs.get(pair, 0) + 1
    return list(pairs), list(pairs.values())


def _binomial(n: int, p: float) -> tuple[Ints, Floats]:
    law: Floats = np.ones(1)
    for _ in range(n):
        law = np.convolve(law, [1 - p, p])
    return np.arange(n + 1), law


def _sum_of(n: int, p: float, m: int, r: float) -> tuple[Ints, Floats]:
    return np.arange(n + m + 1), np.convolve(_binomial(n, p)[1], _binomial(m, r)[1])


def _typical(n: int, spread: float) -> list[float]:
    """As many values as lie in the middles of equal parts of a log-normal law, interleaved so that any few of them spread."""
    values = [exp(spread * NormalDist().inv_cdf((i + 0.5) / n)) for i in range(n)]
    return [value for start in range(3) for value in values[start::3]]
