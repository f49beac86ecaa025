"""What a reward model is worth on held-out prompts: right how often, on what, how sure, and whether it just likes long answers.

Pure functions of rankings, scores and lengths; the recipes `reward` and `process` put the numbers into their results.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist, StatisticsError, correlation, fmean, stdev, variance
from typing import Any

from trueline.core.stats import wilson
from trueline.core.types import Completion, Preference, Ranking
from trueline.recipes.reading import pairs_of

LEVELS = (0.5, 0.7, 0.9)  # lower ends of the levels of agreement among raters
Compared = tuple[object, object, object]  # what is asked, the chosen answer, the rejected one


@dataclass(frozen=True, slots=True)
class Held:
    """One strict held-out pair: how the scores and the lengths (tokens of the reply) of its two completions differ."""

    pair: Preference
    gap: float  # score of the chosen less that of the rejected
    length_gap: float
    agreement: float | None = None  # share of the raters who prefer the chosen, 0.5 to 1; None: not known
    spread: float | None = None  # standard deviation of the gap over the members of an ensemble


def pairs_with(
    rankings: Sequence[Ranking],
    scores: Sequence[Sequence[float]],  # one inner sequence a member, in the order of the completions
    lengths: Sequence[int],
    agreed: Sequence[float] | None = None,  # one a ranking
) -> list[Held]:
    """Every strict pair of the rankings, scored by the mean of the members."""
    found, at = [], 0
    votes = _votes(rankings) if agreed is None else {}
    for index, ranking in enumerate(rankings):
        place = {id(c): at + i for i, c in enumerate(ranking.completions)}
        at += len(ranking.completions)
        for pair in pairs_of(ranking):
            a, b = place[id(pair.chosen)], place[id(pair.rejected)]
            gaps = [member[a] - member[b] for member in scores]
            found.append(
                Held(
                    pair,
                    fmean(gaps),
                    float(lengths[a] - lengths[b]),
                    votes.get(_key(pair)) if agreed is None else agreed[index],
                    stdev(gaps) if len(gaps) > 1 else None,
                )
            )
    return found


def held_out_report(held: Sequence[Held], scores: Sequence[float], lengths: Sequence[int]) -> dict[str, Any]:
    """All numbers of a reward model on held-out prompts; `scores` and `lengths` are those of every completion.

    A slice or a correlation that the data does not have is left out, not made up.
    """
    bins = calibration([h.gap for h in held])
    found: dict[str, Any] = {
        "accuracy": accuracy(held),
        "calibration": bins,
        "ece": sum(b["n"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / max(1, len(held)),
        "score": {"mean": fmean(scores), "variance": variance(scores) if len(scores) > 1 else 0.0},
    }
    tests = {
        "score_with_length": related(scores, lengths),
        "gap_with_length_gap": related([h.gap for h in held], [h.length_gap for h in held]),
    }
    slices = {
        "by_category": _sliced(held, lambda h: h.pair.prompt.category),
        "by_source": _sliced(held, lambda h: h.pair.prompt.source),
        "by_agreement": _sliced(held, lambda h: _level(h.agreement)),
    }
    found |= {name: value for name, value in tests.items() if value is not None}
    found |= {name: part for name, part in slices.items() if part}
    spreads = {
        name: [h.spread for h in held if h.spread is not None and (h.gap > 0) == right]
        for name, right in (("right", True), ("wrong", False))
    }
    if any(spreads.values()):
        found["disagreement"] = {name: fmean(values) for name, values in spreads.items() if values}
    return found


def accuracy(held: Sequence[Held]) -> dict[str, Any]:
    """How often the chosen completion scores higher; equal scores count half."""
    return asdict(wilson(sum(_right(h.gap) for h in held), len(held)))


def calibration(gaps: Sequence[float], bins: int = 5) -> list[dict[str, float]]:
    """How often the favoured completion is the right one, by sigmoid(|gap|), in equal bins of confidence from 0.5 to 1.

    >>> calibration([4.0, 4.0, -4.0, 4.0])
    [{'confidence': 0.9820137900379085, 'accuracy': 0.75, 'n': 4}]
    """
    return reliability([(1 / (1 + math.exp(-min(abs(gap), 50.0))), _right(gap)) for gap in gaps], 0.5, bins)


def reliability(claims: Sequence[tuple[float, float]], lowest: float, bins: int) -> list[dict[str, float]]:
    """A reliability table of (probability, outcome): both means in equal bins from `lowest` to 1, empty bins left out."""
    parts: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for claim in claims:
        parts[min(bins - 1, int((claim[0] - lowest) / (1 - lowest) * bins))].append(claim)
    return [
        {"confidence": fmean(p for p, _ in part), "accuracy": fmean(o for _, o in part), "n": len(part)}
        for _, part in sorted(parts.items())
    ]


def related(first: Sequence[float], second: Sequence[float]) -> dict[str, Any] | None:
    """Pearson's correlation with Fisher's interval, as if items were independent; None where a side does not vary or n < 4."""
    n = len(first)
    if n < 4:
        return None
    try:
        value = max(-1.0, min(1.0, correlation(first, second)))
    except StatisticsError:  # a constant has no correlation
        return None
    half = NormalDist().inv_cdf(0.975) / math.sqrt(n - 3)
    centre = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, value)))
    return {"value": value, "n": n, "low": math.tanh(centre - half), "high": math.tanh(centre + half)}


def _sliced(held: Sequence[Held], name: Callable[[Held], str]) -> dict[str, dict[str, Any]]:
    """Accuracy by slice, where there are two or more slices, or one that is named."""
    parts: Mapping[str, list[Held]] = defaultdict(list)
    for one in held:
        parts[name(one)].append(one)
    return {} if set(parts) <= {""} else {key or "(none)": accuracy(part) for key, part in sorted(parts.items())}


def _level(agreement: float | None) -> str:
    if agreement is None:
        return ""
    low = max(level for level in LEVELS if level <= agreement)
    above = [level for level in LEVELS if level > agreement]
    return f"{low:g} to {above[0] if above else 1:g}"


def _votes(rankings: Sequence[Ranking]) -> dict[Compared, float]:
    """For each pair that several rankings compare, in the order given: the share of them that agree with it."""
    said: dict[Compared, int] = defaultdict(int)
    for ranking in rankings:
        for pair in pairs_of(ranking):
            said[_key(pair)] += 1
    found = {}
    for key, count in said.items():
        prompt, chosen, rejected = key
        both = count + said.get((prompt, rejected, chosen), 0)
        if both > 1:
            found[key] = max(count, both - count) / both
    return found


def _key(pair: Preference) -> Compared:
    return pair.prompt.conversation.messages, _said(pair.chosen), _said(pair.rejected)


def _said(completion: Completion) -> object:
    return completion.text, completion.tool_calls


def _right(gap: float) -> float:
    return 1.0 if gap > 0 else 0.5 if gap == 0 else 0.0
