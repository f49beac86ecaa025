"""The shape of over-optimisation: functional forms of gold against d = sqrt(KL), fitted, compared, and read off.

    null         R(d) = a d                    gold goes on rising
    best-of-n    R(d) = d (a - b d)            Gao et al. 2022 (2210.10760)
    RL           R(d) = d (a - b log d)        the same
    quadratic    R(d) = c + a d - b d^2        a curve that need not pass through the start

R is gold less gold at the start. All are linear in their coefficients, so least squares has one answer, and AIC
(n log(RSS / n) + 2 k; Akaike 1974, doi 10.1109/TAC.1974.1100705) says which is worth its coefficients.

    fit("best-of-n", distances, gains).coefficients
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from trueline.lab.twin import Array, Point

FORMS: Mapping[str, Callable[[Array], Sequence[Array]]] = {
    "null": lambda d: [d],
    "best-of-n": lambda d: [d, -d * d],
    "RL": lambda d: [d, -d * np.log(d)],
    "quadratic": lambda d: [d, -d * d, np.ones_like(d)],
}
FEWEST = 5  # points of a fit
EXACT = 1e-12  # mean squared error below which a fit is exact: the logarithm needs a floor


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One form, fitted: a, then b where it has one, then c."""

    form: str
    coefficients: tuple[float, ...]
    aic: float
    explained: float  # R squared


@dataclass(frozen=True, kw_only=True)
class Hump:
    """Where gold is highest along a path, and what is lost behind it."""

    distance: float  # d at the peak
    strength: float  # n, or 1 / beta, there
    gain: float  # gold at the peak less gold at the start
    drop: float  # gold at the peak less gold at the end; 0 where the end is the peak


def fit(form: str, distances: Sequence[float], gains: Sequence[float]) -> Fit:
    """Fit a form by least squares to points with d above 0."""
    d, y = np.asarray(distances, dtype=float), np.asarray(gains, dtype=float)
    if len(d) < FEWEST or (d <= 0).any():
        raise ValueError(f"a fit needs {FEWEST} or more points with d above 0, got {len(d)} from {min(d, default=0):g} on")
    columns = np.stack(FORMS[form](d), axis=1)
    coefficients = np.linalg.lstsq(columns, y, rcond=None)[0]
    error = float(np.mean((y - columns @ coefficients) ** 2))
    spread = float(np.var(y))
    return Fit(
        form=form,
        coefficients=tuple(map(float, coefficients)),
        aic=len(d) * log(max(error, EXACT)) + 2 * (columns.shape[1] + 1),
        explained=1 - error / spread if spread else 1.0,
    )


def gains(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """d, and gold above the start, of every point but the start itself, which is the first."""
    away = [p for p in points if p.distance > 1e-6]
    return [p.distance for p in away], [p.gold - points[0].gold for p in away]


def hump(points: Sequence[Point]) -> Hump:
    """Where gold is highest on a path that begins at the start."""
    top = max(points, key=lambda p: p.gold)
    return Hump(distance=top.distance, strength=top.strength, gain=top.gold - points[0].gold, drop=top.gold - points[-1].gold)


def at(points: Sequence[Point], distances: Sequence[float], what: str = "gold") -> list[float | None]:
    """Gold (or proxy) at these distances, read between the points; None beyond the last of them."""
    d, y = [p.distance for p in points], [getattr(p, what) for p in points]
    return [float(np.interp(x, d, y)) if x <= d[-1] else None for x in distances]
