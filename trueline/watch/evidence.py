"""Evidence that rounds after a split differ from those before it: e-values, which in quiet times have mean one at most.

An e-value E is a bet that is fair when nothing changed, so that P(E >= x) <= 1/x whatever the rates are (Ville 1939; Ramdas,
Grünwald, Vovk and Shafer 2023, Statistical Science 38:576). Three bets, each exact under one assumption:

- `paired`: each question is its own pair of samples. Given how often it was answered yes in all, the yeses after the split are
  hypergeometric in quiet times; the bet is on a noncentral one (Fisher 1935; stratified as in Zelen 1971, Biometrika 58:129;
  as e-values in Turner, Ly and Grünwald 2024, JSPI 230:106116). With one round on each side it is a bet on McNemar's discordant
  pairs. A question that always gives the same answer bets nothing, so that no variance is divided by.
- `pooled`: the same for one count of many. Where each round counts the same parts and these differ in their rates, it is
  conservative: the true conditional law has the hypergeometric's mean and a log-concave ratio to it (Newton's inequalities),
  so that it is less spread out, and every bet on a convex function of it is worth less.
- `ranked`: values are replaced by their ranks within a stratum, and the bet tilts high or low ranks. Its mean over all
  permutations is an elementary symmetric polynomial, so that nothing is assumed of tails.

The mixtures (how large a change, in which direction, of how many questions) were fixed before anything was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import log

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Each size is bet on in both directions.
SHIFTS = np.log([3.0, 50.0, 1 / 3, 1 / 50])  # odds ratios: a change of rates, and answers that turn over altogether
EACH_ITS_OWN = 0.5  # share of questions that move, each up or down, where they do not move together
POOLED = np.log([2.0, 8.0, 1 / 2, 1 / 8])
TILTS = np.array([5.0, 20.0, -5.0, -20.0])  # log of how much more the highest rank weighs than the lowest


def paired(yes_before: Ints, n_before: Ints, yes_after: Ints, n_after: Ints) -> float:
    """Return log E that the questions' rates differ; one entry a question, and who was asked on one side alone bets nothing."""
    return mixed(question_bets(yes_before, n_before, yes_after, n_after).sum(0))


def question_bets(yes_before: Ints, n_before: Ints, yes_after: Ints, n_after: Ints) -> Floats:
    """Return the log of every bet on every question (Q x bets): all move by a shift, up or down together or each alone."""
    bets = np.zeros((len(n_before), len(SHIFTS)))
    total = yes_before + yes_after
    for before, after in set(zip(n_before.tolist(), n_after.tolist(), strict=True)):
        rows = (n_before == before) & (n_after == after) & (total > 0) & (total < before + after)
        if before and after and rows.any():
            table = _normalisers(before, after)
            bets[rows] = yes_after[rows, None] * SHIFTS - table[total[rows]]
    up, down = bets[:, : len(SHIFTS) // 2], bets[:, len(SHIFTS) // 2 :]
    alone = np.logaddexp(log(1 - EACH_ITS_OWN), log(EACH_ITS_OWN / 2) + np.logaddexp(up, down))
    return np.concatenate([bets, alone], axis=1)


def pooled(yes_before: Ints, n_before: int, yes_after: Ints, n_after: int) -> Floats:
    """Return log E for each of several rates that it differs; all are counted over the same many."""
    total = yes_before + yes_after  # (K,)
    yes = np.arange(min(n_after, int(total.max(initial=0))) + 1)
    law = _log_choose(n_after, yes) + _log_choose(n_before, total[:, None] - yes)  # (K, yes)
    means = _log_sum(law[:, :, None] + yes[:, None] * POOLED, 1) - _log_sum(law, 1)[:, None]
    bets = yes_after[:, None] * POOLED - means
    return _log_sum(bets, 1) - log(len(POOLED))


def ranked(before: Sequence[Sequence[float]], after: Sequence[Sequence[float]]) -> float:
    """Return log E that values after the split lie higher, or lower, than those before it; one sequence a stratum."""
    bets = np.zeros(len(TILTS))
    for early, late in zip(before, after, strict=True):
        if early and late:
            places = _midranks(np.array([*early, *late]))
            weights = places[:, None] * TILTS  # logs
            bets += weights[len(early) :].sum(0) - _mean_product(weights, len(late))
    return mixed(bets)


def mixed(logs: Floats) -> float:
    """Return the log of the mean of what is given as logs: a mean of e-values is one, however they depend on each other."""
    return float(np.logaddexp.reduce(logs) - log(len(logs)))


def _log_sum(logs: Floats, axis: int) -> Floats:
    """The same as `logaddexp.reduce`, several times as fast; some value along the axis is finite."""
    most = logs.max(axis, keepdims=True)
    summed: Floats = np.log(np.exp(logs - most).sum(axis)) + most.squeeze(axis)
    return summed


@lru_cache(maxsize=1024)
def _normalisers(before: int, after: int) -> Floats:
    """For each total of yeses, the log of the mean of exp(shift x yeses after) under the hypergeometric law."""
    totals, yes = np.arange(before + after + 1)[:, None], np.arange(after + 1)[None, :]
    law = _log_choose(after, yes) + _log_choose(before, totals - yes) - _log_choose(before + after, totals)
    return _log_sum(law[:, :, None] + yes[:, :, None] * SHIFTS, 1)


def _log_choose(n: int, k: Ints) -> Floats:
    """Log of the binomial coefficient; minus infinity where it is zero."""
    table = _log_factorials(1 << max(10, n.bit_length()))
    inside = (k >= 0) & (k <= n)
    kept = np.where(inside, k, 0)
    return np.where(inside, table[n] - table[kept] - table[n - kept], -np.inf)


@lru_cache(maxsize=8)
def _log_factorials(most: int) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])


def _midranks(values: Floats) -> Floats:
    """Ranks from -1/2 to 1/2, ties in the middle; zero where all are alike."""
    ordered = np.sort(values)
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (low + high) / (2 * len(values)) - 0.5


def _mean_product(weights: Floats, chosen: int) -> Floats:
    """Log of the mean, over all subsets of `chosen` rows, of the product of their weights (logs, N x columns)."""
    sums = np.full((chosen + 1, weights.shape[1]), -np.inf)
    sums[0] = 0.0
    for row in weights:  # the elementary symmetric polynomials of one row more
        sums[1:] = np.logaddexp(sums[1:], sums[:-1] + row)
    mean: Floats = sums[chosen] - _log_choose(len(weights), np.array([chosen]))
    return mean
