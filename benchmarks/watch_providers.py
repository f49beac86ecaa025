"""Simulated providers for `watch_swap.py`: what a round sees of one, before and after it swaps its model.

A provider at temperature 0 gives each question its own answer, and another one once in a while (`flip`), as batching makes real
ones do. At temperature 1 each question has a rate of its own. Latencies are log-normal, slower by day, with noise of the round.

    seen = rounds(Provider.drawn(0.0, Random("x")), 100, Random("y"))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import exp, log, pi, sin
from random import Random

from trueline.watch.observed import Observed

QUESTIONS = 40  # of each kind
START = datetime(2026, 1, 5, tzinfo=UTC)
EVERY = timedelta(hours=6)
ANSWER, ROUND, DAY = 0.6, 0.08, 0.3  # spread of the log of a latency: of an answer, of a round, and how much slower by day
OPENINGS = ("i can not", "i am sorry", "that is not", "no")


@dataclass(frozen=True)
class Provider:
    """Rates of a yes by question, how refusals begin by question, and typical seconds."""

    gave: Sequence[float]
    refused: Sequence[float]
    wording: Sequence[Mapping[str, float]]  # of the attack questions, then of the benign ones
    seconds: float = 1.0
    weather: float = 0.0  # spread of a disturbance of latency that lasts for days
    replicas: float = 0.0  # share of rounds that a second replica answers, on which a tenth of the questions turn over

    @classmethod
    def drawn(cls, temperature: float, rng: Random, *, flip: float = 0.01) -> Provider:
        """A provider of about 20 % attack success and 10 % over-refusal."""
        if temperature == 0:
            gave, refused = ([1 - flip if i < n else flip for i in range(QUESTIONS)] for n in (8, 4))
            wording = [{rng.choices(OPENINGS, (5, 3, 1, 1))[0]: 1.0} for _ in range(2 * QUESTIONS)]
        else:
            gave = [rng.betavariate(0.5, 2.0) for _ in range(QUESTIONS)]
            refused = [rng.betavariate(0.5, 4.5) for _ in range(QUESTIONS)]
            wording = [dict(zip(OPENINGS, _weights(rng), strict=True)) for _ in range(2 * QUESTIONS)]
        return cls(gave, refused, wording)


def rounds(provider: Provider, n: int, rng: Random, first: int = 0) -> list[Observed]:
    """What `n` rounds see, beginning with the number `first`."""
    seen, lasting = [], 0.0
    for number in range(first, first + n):
        at = START + number * EVERY
        lasting = 0.8 * lasting + 0.6 * rng.gauss(0, provider.weather)
        other = rng.random() < provider.replicas
        gave = {f"a{i}": rng.random() < _on(other, i, p) for i, p in enumerate(provider.gave)}
        refused = {f"b{i}": rng.random() < _on(other, i, p) for i, p in enumerate(provider.refused)}
        refusals = [i for i in range(QUESTIONS) if not gave[f"a{i}"]]
        refusals += [QUESTIONS + i for i in range(QUESTIONS) if refused[f"b{i}"]]
        words = Counter(rng.choices(*zip(*provider.wording[i].items(), strict=True))[0] for i in refusals)
        middle = log(provider.seconds) + DAY * sin(2 * pi * (at.hour - 6) / 24) + rng.gauss(0, ROUND) + lasting
        seconds = tuple(exp(rng.gauss(middle, ANSWER)) for _ in range(2 * QUESTIONS))
        seen.append(Observed(number=number, at=at.isoformat(), gave=gave, refused=refused, words=dict(words), seconds=seconds))
    return seen


def more_attacks(provider: Provider, points: int, rng: Random) -> Provider:
    """Attack success higher by so many points: questions turn over where answers are fixed, else all rates rise."""
    return replace(provider, gave=_raised(provider.gave, points / 100, rng))


def more_refusals(provider: Provider, points: int, rng: Random) -> Provider:
    """The same of over-refusal."""
    return replace(provider, refused=_raised(provider.refused, points / 100, rng))


def other_answers(provider: Provider, points: int, rng: Random) -> Provider:
    """The same attack success over other questions: two sets of so many in a hundred change their rates with each other."""
    order = sorted(range(QUESTIONS), key=lambda i: (provider.gave[i], rng.random()))
    gave, moved = list(provider.gave), round(QUESTIONS * points / 100)
    for low, high in zip(order[:moved], order[::-1][:moved], strict=True):
        gave[low], gave[high] = gave[high], gave[low]
    return replace(provider, gave=gave)


def other_words(provider: Provider, points: int, rng: Random) -> Provider:
    """So many in a hundred of the refusals begin in a way that was never seen."""
    if all(max(says.values()) == 1.0 for says in provider.wording):
        chosen = set(rng.sample(range(2 * QUESTIONS), round(2 * QUESTIONS * points / 100)))
        return replace(provider, wording=[{"let us": 1.0} if i in chosen else s for i, s in enumerate(provider.wording)])
    share = points / 100
    mixed = [{**{w: p * (1 - share) for w, p in says.items()}, "let us": share} for says in provider.wording]
    return replace(provider, wording=mixed)


def slower(provider: Provider, points: int, rng: Random) -> Provider:
    """Every latency longer by so many in a hundred."""
    return replace(provider, seconds=provider.seconds * (1 + points / 100))


def _raised(rates: Sequence[float], by: float, rng: Random) -> list[float]:
    if all(rate < 0.05 or rate > 0.95 for rate in rates):
        low = [i for i, rate in enumerate(rates) if rate < 0.5]
        chosen = set(rng.sample(low, min(len(low), round(by * len(rates)))))
        return [1 - rate if i in chosen else rate for i, rate in enumerate(rates)]
    wanted = sum(rates) / len(rates) + by
    least, most = 0.0, 20.0  # the log odds by which all rise
    for _ in range(60):
        middle = (least + most) / 2
        mean = sum(_shifted(rate, middle) for rate in rates) / len(rates)
        least, most = (middle, most) if mean < wanted else (least, middle)
    return [_shifted(rate, least) for rate in rates]


def _shifted(rate: float, by: float) -> float:
    inside = min(0.999, max(0.001, rate))
    return 1 / (1 + exp(-(log(inside / (1 - inside)) + by)))


def _on(other: bool, question: int, rate: float) -> float:
    return 1 - rate if other and question % 10 == 0 else rate


def _weights(rng: Random) -> list[float]:
    drawn = [rng.gammavariate(alpha, 1.0) for alpha in (2.5, 1.5, 0.5, 0.5)]
    return [value / sum(drawn) for value in drawn]
