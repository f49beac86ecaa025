"""From labelled texts to a model: families of near-duplicates, folds, a threshold at a fixed false-positive rate, the model.

Every text is scored by a model that has seen no text of its family (out of fold). The threshold is the lowest at which no more
than the asked share of benign texts is acted on, so the rate is one of texts that were not trained on. Every source of benign
texts counts the same in this rate: ten thousand easy ones do not pay for a hundred hard ones. Then one model is fitted on
everything. What is reported for each source is out of fold, too.

    trained = train(examples, fpr=0.01)
    trained.model.save(Path("models/harm"))

`train` fits linear models; `train_with` any kind that learns from `Lessons`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from trueline.core.stats import wilson
from trueline.core.types import Rate
from trueline.guard.learned.duplicates import linked
from trueline.guard.learned.fitting import Fitted, fit
from trueline.guard.learned.linear import Linear
from trueline.guard.learned.model import Model
from trueline.guard.learned.table import Table
from trueline.guard.scan.folding import fold, without_halves

FOLDS = 5
STEPS = 32_767  # a weight in whole numbers goes from -STEPS to STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A text, whether it must not pass, and where it is from."""

    text: str
    attack: bool
    source: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """What the threshold does to the texts of one source, out of fold: recall of attacks, false positives of benign ones."""

    source: str
    attack: bool
    acted: Rate
    families: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Lessons:
    """N folded texts to fit a model on."""

    texts: Sequence[str]
    table: Table  # the same texts, hashed
    labels: NDArray[np.bool_]  # (N,): whether a text must not pass
    importance: NDArray[np.float32]  # (N,)

    def take(self, rows: NDArray[np.int64]) -> Lessons:
        """Some of them, in that order."""
        texts = [self.texts[index] for index in rows.tolist()]
        return Lessons(texts=texts, table=self.table.take(rows), labels=self.labels[rows], importance=self.importance[rows])

    @property
    def share(self) -> NDArray[np.float32]:
        """What each text counts, (N,): both labels the same in sum, and one on average. Raises ValueError for one alone."""
        labels, importance = self.labels, self.importance
        if labels.all() or not labels.any():
            raise ValueError(
                f"expected attacks and benign texts to train on, got only {'attacks' if labels.all() else 'benign ones'}"
            )
        return importance / np.where(labels, importance[labels].sum(), importance[~labels].sum()) * len(labels) / 2


M = TypeVar("M", bound=Model)
Learn = Callable[[Lessons], M]  # a model fitted on lessons; it acts on nothing until it has a threshold


@dataclass(frozen=True, kw_only=True)
class Trained(Generic[M]):
    """A model, and what is known of it."""

    model: M
    lines: tuple[Line, ...]
    recall: Rate  # over all attacks
    false_positives: float  # the mean over the sources of benign texts


def train(
    examples: Iterable[Example],
    *,
    fpr: float = 0.01,
    files: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Trained[Linear]:
    """Train a linear model on texts as they were written.

    The model notes `files` (names by content hash). Raises ValueError for too few texts.
    """
    return train_with(linear, examples, fpr=fpr, files=files, say=say)


def linear(lessons: Lessons) -> Linear:
    """Logistic regression over the hashed texts."""
    return model_of(fit(lessons.table, lessons.labels, lessons.share))


def train_with(
    learn: Learn[M],
    examples: Iterable[Example],
    *,
    fpr: float = 0.01,
    files: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Trained[M]:
    """The same with a model of any kind."""
    if not 0 < fpr < 1:
        raise ValueError(f"fpr: expected a share between 0 and 1, got {fpr}")
    rows, left_out = distinct(examples)
    labels = np.array([row.attack for row in rows], bool)
    say(f"{len(rows):,} texts, {int(labels.sum()):,} of them attacks; {left_out:,} left out (the same text twice, or as both)")
    table = Table.of([row.text for row in rows])
    family = families(table, labels, say)
    source = np.unique([f"{row.attack} {row.source}" for row in rows], return_inverse=True)[1]
    lessons = Lessons(texts=[row.text for row in rows], table=table, labels=labels, importance=weight(family, source))
    scores = out_of_fold(learn, lessons, folds_of(labels, family), say)
    threshold = threshold_at(scores[~labels], source[~labels], fpr)
    lines = tuple(lines_of(rows, scores > threshold, family))
    trained_on = {
        "files": dict(files or {}), "texts": len(rows), "attacks": int(labels.sum()), "families": len(np.unique(family)),
        "fpr": fpr, "sources": [{**asdict(line), "acted": asdict(line.acted)} for line in lines],
    }  # fmt: skip
    model = learn(lessons).settled(threshold, trained_on)
    share = float(np.mean([line.acted.value for line in lines if not line.attack]))
    return Trained(model=model, lines=lines, recall=_rate(scores[labels] > threshold), false_positives=share)


def distinct(examples: Iterable[Example]) -> tuple[list[Example], int]:
    """The examples folded, each text once, in an order that is their own; and how many were left out."""
    found: dict[str, Example] = {}
    both, count = set[str](), 0
    for example in examples:
        count += 1
        text = fold(without_halves(example.text)).strip()
        known = found.setdefault(text, replace(example, text=text))
        if known.attack != example.attack:
            both.add(text)
        if example.source < known.source:
            found[text] = replace(known, source=example.source)
    kept = [found[text] for text in sorted(found, key=_place) if text and text not in both]
    return kept, count - len(kept)


def families(table: Table, labels: NDArray[np.bool_], say: Callable[[str], None]) -> NDArray[np.int64]:
    """The family of each text (N,). Raises ValueError where there are too few for the folds."""
    family = linked(table)
    many = [len(np.unique(family[kind])) for kind in (labels, ~labels)]
    if min(many) < FOLDS:
        raise ValueError(
            f"expected {FOLDS} families of attacks and {FOLDS} of benign texts or more, got {many[0]} and {many[1]} "
            f"(a family is texts that are nearly the same); give more files, benign ones by --benign"
        )
    say(f"{many[0]:,} families of attacks and {many[1]:,} of benign texts")
    return family


def folds_of(labels: NDArray[np.bool_], family: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fold of each text: families are dealt out in turn, first those that hold an attack."""
    known, member = np.unique(family, return_inverse=True)
    bad = np.bincount(member, labels) > 0
    dealt = np.empty(len(known), np.int64)
    dealt[np.argsort(~bad, kind="stable")] = np.arange(len(known)) % FOLDS
    return dealt[member]


def out_of_fold(
    learn: Learn[M], lessons: Lessons, folds: NDArray[np.int64], say: Callable[[str], None] = lambda text: None
) -> NDArray[np.float64]:
    """Each text's score by a model that was fitted on the other folds."""
    scores = np.zeros(len(folds))
    for number in range(FOLDS):
        inside, outside = np.flatnonzero(folds != number), np.flatnonzero(folds == number)
        model = learn(lessons.take(inside))
        scores[outside] = [model.score(lessons.texts[index]) for index in outside.tolist()]
        say(f"fold {number + 1} of {FOLDS}")
    return scores


def threshold_at(benign: NDArray[np.float64], source: NDArray[np.int64], fpr: float) -> float:
    """The lowest benign score that no more than this share is above; every source counts the same in it."""
    _, member, size = np.unique(source, return_inverse=True, return_counts=True)
    order = np.argsort(-benign, kind="stable")
    above = np.cumsum((1 / size[member] / len(size))[order])  # up to and with each score
    return float(benign[order][np.searchsorted(above, fpr + 1e-12, side="right")])


def weight(*groupings: NDArray[np.int64]) -> NDArray[np.float32]:
    """How important each text is: of every grouping, n texts of one group count as the root of n.

    >>> weight(np.array([0, 0, 0, 0, 1])).tolist()
    [0.5, 0.5, 0.5, 0.5, 1.0]
    """
    found = np.ones(len(groupings[0]))
    for group in groupings:
        _, member = np.unique(group, return_inverse=True)
        found /= np.sqrt(np.bincount(member, found)[member])
    return found.astype(np.float32)


def model_of(fitted: Fitted) -> Linear:
    """The weights in whole numbers. It acts on nothing until it has a threshold."""
    scale = float(np.abs(fitted.weights).max()) / STEPS or 1.0
    whole = np.rint(fitted.weights / scale).astype(np.int16)
    return Linear(weights=whole, scale=scale, bias=fitted.bias, threshold=float("inf"))


def lines_of(rows: Sequence[Example], acted: NDArray[np.bool_], family: NDArray[np.int64]) -> Iterable[Line]:
    """What a threshold does to each source, attacks first: its texts (N) that are acted on, and how many families it has."""
    groups = Counter((row.source, row.attack) for row in rows)
    for source, attack in sorted(groups, key=lambda key: (not key[1], key[0])):
        own = np.array([row.source == source and row.attack == attack for row in rows])
        yield Line(source=source, attack=attack, acted=_rate(acted[own]), families=len(np.unique(family[own])))


def _rate(acted: NDArray[np.bool_]) -> Rate:
    return wilson(int(acted.sum()), len(acted))


def _place(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
