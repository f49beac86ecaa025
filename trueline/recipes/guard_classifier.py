"""The learned rail's second model: a small transformer, trained from nothing and written as an ONNX graph in whole numbers.

    trueline guard train bank.jsonl --benign helpdesk.jsonl --model transformer --out models/harm

Families, folds, weights of texts and the threshold are those of the linear model (guard/learned/training.py); a fold's scores
are those of the graph that would run, rounded weights included. Texts are drawn by their weight, so that training takes as
long for a million texts as for fifty thousand. Of a long text each draw takes some window, which has the text's label.
The objective is that of a process reward model whose only step is the whole text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from trueline.guard.learned.graph import Size, matrices, norms
from trueline.guard.learned.onnx_file import Weights, onnx_bytes
from trueline.guard.learned.training import Lessons
from trueline.guard.learned.transformer import PLACES, Transformer
from trueline.guard.learned.words import BUCKETS, COLUMNS, WINDOW, words
from trueline.models.classifier import Classifier
from trueline.models.tokens import Example
from trueline.train.loop import train
from trueline.train.objectives.reward import StepReward
from trueline.train.optim import Optim
from trueline.train.sources import Examples

STEPS, ROW_STEPS = 63, 127  # a weight in whole numbers goes from -STEPS to STEPS (graph.py says why), one of a bucket further


@dataclass(frozen=True, kw_only=True)
class SmallTransformer:
    """What learns: lessons to a model without a threshold."""

    width: int = 64
    layers: int = 2
    heads: int = 4
    drop: float = 0.1  # share of the buckets that goes missing while it trains
    draws: int = 20_000  # texts that it is trained on, the same one more than once
    often: int = 20  # at most so many draws a text, on average
    tokens: int = 2_048  # words a step, padding included
    optim: Optim = Optim(lr=3e-3, muon=0.01, decay=0.7)
    seed: int = 0

    def __call__(self, lessons: Lessons) -> Transformer:
        """Train on folded texts. Raises ValueError where all of them are of one kind."""
        classifier = self.trained_on(lessons)
        size = Size(buckets=BUCKETS, places=PLACES, width=self.width, layers=self.layers, heads=self.heads)
        return Transformer(size=size, graph=onnx_bytes(size, whole(classifier, size)), threshold=float("inf"))

    def trained_on(self, lessons: Lessons) -> Classifier:
        """The torch model that is rounded."""
        rng = np.random.Generator(np.random.PCG64(self.seed))
        rows = [words(text) for text in lessons.texts]
        starts = np.cumsum([1, *map(len, rows)])
        share = lessons.share.astype(float)
        drawn = rng.choice(len(rows), min(self.draws, self.often * len(rows)), p=share / share.sum())
        examples, labels = [], []
        for text in drawn.tolist():
            count = min(WINDOW, len(rows[text]))
            first = int(starts[text] + rng.integers(0, len(rows[text]) - count, endpoint=True))
            examples.append(Example((0, *range(first, first + count)), (*[False] * count, True)))
            labels.append([*[0.0] * count, float(lessons.labels[text])])
        lexicon = np.concatenate([np.zeros((1, COLUMNS), np.int64), *rows]).astype(np.int32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            classifier = Classifier(
                torch.from_numpy(lexicon), buckets=BUCKETS, places=PLACES, width=self.width, layers=self.layers,
                heads=self.heads, drop=self.drop,
            )  # fmt: skip
            source = Examples(examples=examples, columns={"step_label": labels}, tokens=self.tokens, seed=self.seed)
            train(classifier, StepReward(), source, self.optim)
        return classifier


def whole(classifier: Classifier, size: Size) -> Weights:
    """The weights as the graph has them: products in whole numbers with a scale a column, buckets with one a row."""
    given = {name: one.detach().numpy() for name, one in classifier.named_parameters()}
    rows = _rounded(given["embed.weight"], 1, ROW_STEPS)
    found: dict[str, NDArray[np.generic]] = {"embed": rows[0], "embed.scale": rows[1]}
    for name in matrices(size):
        layer, _, part = name.partition(".")
        own = given[f"layer.{layer.removeprefix('layer')}.{part}.weight"].T
        found[name], scale = _rounded(own, 0, STEPS)
        found[f"{name}.scale"] = scale[0]
    for name in norms(size):
        found[name] = given[(f"layer.{name.removeprefix('layer')}" if name.startswith("layer") else name) + ".weight"]
    return found | {
        "pool": given["pool_score.weight"].T,
        "score": given["score.weight"].T,
        "score.bias": given["score.bias"],
    }


def _rounded(matrix: NDArray[np.float32], axis: int, steps: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix in whole numbers, and what they are to be multiplied with along an axis."""
    scale = np.maximum(np.abs(matrix).max(axis, keepdims=True), 1e-12) / np.float32(steps)
    return np.rint(matrix / scale).astype(np.int8), scale.astype(np.float32)
