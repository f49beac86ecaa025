"""How much better one model is than another, from who won on the same prompts: Bradley-Terry strengths with intervals.

The chance that a model beats another is sigmoid(s - t) of their strengths (Bradley and Terry 1952, Biometrika 39:324), and a
draw is half a win for each. Strengths are told on Elo's scale, 400 / ln 10 a unit, so that 400 points are odds of ten to one,
and their mean over the models is zero: only differences mean anything. Intervals are percentiles of a bootstrap that draws
whole prompts, because the games of one prompt hang together.

`prior` adds as many wins to each side of every two models that met. It keeps a model that never lost at a finite strength, and
for two models it makes the strength the log-odds that Haldane (1956, Annals of Human Genetics 20:309) and Anscombe corrected.

>>> games = rounds({"p": {"a": 1.0, "b": 0.2}, "q": {"a": 0.9, "b": 0.3}, "r": {"a": 0.1, "b": 0.4}})
>>> {name: round(rate.value) for name, rate in elo(games, prior=0.0).items()}
{'a': 60, 'b': -60}
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from trueline.core.types import Rate
from trueline.evaluate.rates import clustered

ELO = 400 / math.log(10)  # points a unit of log-odds
RESAMPLES = 1000
EQUAL = 1e-9  # utilities that differ by no more are a draw
ENOUGH = 1e-10  # change of every strength at which the fit ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """Two models on one prompt: `won` is 1 where the first was better, 0 where the second was, one half for a draw."""

    prompt: str
    first: str
    second: str
    won: float


def rounds(worth: Mapping[str, Mapping[str, float]]) -> list[Game]:
    """Let all models meet on each prompt; `worth` is what each model's reply to it is worth, by prompt and model."""
    return [
        Game(prompt=prompt, first=a, second=b, won=_won(by_model[a] - by_model[b]))
        for prompt, by_model in worth.items()
        for a, b in combinations(sorted(by_model), 2)
    ]


def elo(games: Sequence[Game], *, prior: float = 0.5, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Rate]:
    """Return each model's strength in Elo points, with its interval; `n` counts the games that it played.

    Raises ValueError where models never met, not even through others: nothing compares them then.
    """
    models = sorted({name for game in games for name in (game.first, game.second)})
    if len(models) < 2 or prior < 0:
        raise ValueError(f"strengths need two models that met, and a prior of 0 or more; got {len(models)} and {prior}")
    place = {name: i for i, name in enumerate(models)}
    prompts = {prompt: i for i, prompt in enumerate(sorted({game.prompt for game in games}))}
    wins = np.zeros((len(prompts), len(models), len(models)))  # (P, M, M): how often the row beat the column
    for game in games:
        a, b, at = place[game.first], place[game.second], prompts[game.prompt]
        wins[at, a, b] += game.won
        wins[at, b, a] += 1 - game.won
    whole = wins.sum(0)
    met = (whole + whole.T > 0).astype(float)
    all_met(models, met)
    drawn = np.random.default_rng(seed).multinomial(len(prompts), [1 / len(prompts)] * len(prompts), size=resamples)  # (B, P)
    tables = np.concatenate([whole[None], np.tensordot(drawn, wins, 1)]) + prior * met
    points = ELO * _fit(tables)
    low, high = np.quantile(points[1:], [0.025, 0.975], axis=0)
    played = (whole + whole.T).sum(1)
    return {
        name: Rate(value=float(points[0, i]), n=round(played[i]), low=float(low[i]), high=float(high[i]))
        for i, name in enumerate(models)
    }


def win_rate(games: Iterable[Game], first: str, second: str) -> Rate | None:
    """How often `first` beat `second`, draws counted half; None where they never met."""
    met = [g for g in games if {g.first, g.second} == {first, second}]
    return clustered([g.won if g.first == first else 1 - g.won for g in met], [g.prompt for g in met])


def _won(difference: float) -> float:
    return 0.5 if abs(difference) <= EQUAL else float(difference > 0)


def _fit(wins: np.ndarray) -> np.ndarray:
    """Maximum likelihood strengths (B, M), mean zero, of win tables (B, M, M), by Newton's method.

    The log-likelihood is concave; a step is cut to two units, from which Newton's method finds the top wherever there is one.
    """
    size = wins.shape[-1]
    played = wins + wins.transpose(0, 2, 1)
    found = np.zeros(wins.shape[:2])
    for _ in range(100):
        chance = 1 / (1 + np.exp(found[:, None, :] - found[:, :, None]))  # (B, M, M): that the row beats the column
        slope = (wins - played * chance).sum(-1)
        weight = played * chance * (1 - chance)
        curve = np.eye(size) * (weight.sum(-1)[:, :, None] + 1e-9) - weight + 1 / size  # the last term fixes the free mean
        step = np.clip(np.linalg.solve(curve, slope[:, :, None])[..., 0], -2.0, 2.0)
        found += step
        if np.abs(step).max() < ENOUGH or np.abs(found).max() > 50:  # 50: without a prior, who never lost has no strength
            break
    return found - found.mean(-1, keepdims=True)


def all_met(models: Sequence[str], met: np.ndarray) -> None:
    reached = np.linalg.matrix_power(met + np.eye(len(models)), len(models))[0] > 0
    if not reached.all():
        apart = ", ".join(name for name, there in zip(models, reached, strict=True) if not there)
        raise ValueError(f"nothing compares {models[0]} with {apart}: they have no game with each other, nor through others")
