"""What each principle contributes to AI feedback: agreement with the ensemble and with an oracle, wins, and its ablation.

Pure functions of labelled pairs. A label is the probability that the first reply is the better one; the ensemble is the mean of
the principles' labels by weight; a label *leans* where it is further than HALF from one half.

    principles_table(pairs, {"no-praise": 1.0, "no-dangerous-steps": 2.0})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trueline.core.types import Rate
from trueline.evaluate.rates import clustered
from trueline.evaluate.shown import Cell, table

HALF = 0.1  # labels that are no further from one half do not lean: they are ties


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Two replies to one prompt: each principle's label, by id; and which of them truly keeps to it, where that is known."""

    prompt: str
    labels: Mapping[str, float]
    models: tuple[str, str] = ("", "")  # that said the first and the second
    truths: Mapping[str, float] = field(default_factory=dict)  # 1 the first, 0 the second; where they are alike, nothing


def ensemble(labels: Mapping[str, float], weights: Mapping[str, float]) -> float | None:
    """The mean of the labels by weight; None where no principle said anything.

    >>> ensemble({"a": 1.0, "b": 0.5}, {"a": 1.0, "b": 3.0})
    0.625
    """
    total = sum(weights[name] for name in labels)
    return sum(weights[name] * label for name, label in labels.items()) / total if labels else None


def leans(label: float) -> bool:
    """Whether a label says which reply is better."""
    return abs(label - 0.5) > HALF


def agreement(pairs: Sequence[Labelled], weights: Mapping[str, float], principle: str) -> Rate | None:
    """How often the principle's label leans the way of the ensemble, among pairs on which both lean."""
    both = [(p, p.labels[principle], ensemble(p.labels, weights)) for p in pairs if principle in p.labels]
    leaning = [(p, one, whole) for p, one, whole in both if whole is not None and leans(one) and leans(whole)]
    return clustered([float((one > 0.5) == (whole > 0.5)) for _, one, whole in leaning], [p.prompt for p, _, _ in leaning])


def accuracy(pairs: Sequence[Labelled], principle: str) -> Rate | None:
    """How often the label leans to the reply that truly keeps to the principle; one that does not lean is half right."""
    known = [p for p in pairs if principle in p.truths and principle in p.labels]
    return clustered([_right(p.labels[principle], p.truths[principle]) for p in known], [p.prompt for p in known])


def flips(pairs: Sequence[Labelled], weights: Mapping[str, float], principle: str) -> Rate | None:
    """How many ensembles lean another way, or no way, once the principle is left out: of the pairs that others speak of too."""
    shared = [p for p in pairs if principle in p.labels and len(p.labels) > 1]
    turned = []
    for pair in shared:
        rest = {name: label for name, label in pair.labels.items() if name != principle}
        turned.append(float(_side(ensemble(pair.labels, weights)) != _side(ensemble(rest, weights))))
    return clustered(turned, [p.prompt for p in shared])


def wins(pairs: Sequence[Labelled], principle: str, model: str) -> Rate | None:
    """How often a model's reply is preferred to another model's under the principle; without a lean it is half a win."""
    met = [p for p in pairs if principle in p.labels and p.models[0] != p.models[1] and model in p.models]
    won = [_right(p.labels[principle], float(p.models[0] == model)) for p in met]
    return clustered(won, [p.prompt for p in met])


def principles_table(pairs: Sequence[Labelled], weights: Mapping[str, float], title: str = "Principles") -> dict[str, Any]:
    """One row a principle: how often it leans, agrees with the ensemble and the oracle, decides, and which model it favours."""
    models = sorted({m for p in pairs for m in p.models if p.models[0] != p.models[1]})
    rows: list[list[Cell]] = []
    for name in weights:
        asked = [p for p in pairs if name in p.labels]
        prefers = clustered([float(leans(p.labels[name])) for p in asked], [p.prompt for p in asked])
        row = [name, prefers, agreement(pairs, weights, name), accuracy(pairs, name), flips(pairs, weights, name)]
        rows.append([*row, *(wins(pairs, name, model) for model in models)])
    return table(
        title,
        [
            "principle",
            "prefers one",
            "as the ensemble",
            "as the oracle",
            "flips without it",
            *(f"{m} wins" for m in models),
        ],
        rows,
        "Of labelled pairs. As the oracle: on pairs of which one keeps to the principle and one does not. Flips without it: "
        "ensembles that lean another way, or no way, with the principle left out.",
    )


def _side(label: float | None) -> int:
    return 0 if label is None or not leans(label) else 1 if label > 0.5 else -1


def _right(label: float, truth: float) -> float:
    return float((label > 0.5) == (truth > 0.5)) if leans(label) else 0.5
