"""A linear model over hashed features, whose weights are whole numbers: the same text has the same score on every machine.

A part of a text is worth the sum of its features' weights over the root of their number, plus a constant. A text is worth
the most of its parts: the whole of it, and overlapping windows, so that a sentence is not drowned in a page. Sums of whole
numbers do not depend on their order, so a score is reproduced to the last bit, in a batch or alone.

    model = Linear.load(Path("models/harm"))
    model.score(fold(text)) > model.threshold

A model is two files: `rail.safetensors` (the weights) and `rail.json` (everything else, and a digest over all of it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from trueline.core.files import atomic_file
from trueline.guard.learned.hashing import BITS, BLOCK, SCHEME, Features, features
from trueline.guard.learned.model import REST, ModelError, check_digest, folder_of, read_rest
from trueline.store.folders import digest, write_json

WINDOW, STEP = 512, 256  # bytes of a window, and from one to the next
OVERLAP = 1_024  # bytes that a block shares with the next one, so that every window is whole in one of them
WEIGHTS = "rail.safetensors"


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """Weights for every bucket, in steps of `scale`, and the score above which a rail acts."""

    weights: NDArray[np.int16]  # (2**BITS,)
    scale: float
    bias: float
    threshold: float
    trained: Mapping[str, Any] = field(default_factory=dict)  # on what, as counts and hashes; plain values
    inline: ClassVar[bool] = True

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that scores depend on, the threshold and what it was trained on included."""
        return digest({**self._rest, "weights": digest(self.weights.astype("<i2").tobytes().hex())})

    def score(self, text: str) -> float:
        """How much the folded text is like what must not pass. Linear in its length; memory is bounded."""
        data = text.encode("utf-8", "replace")
        starts = range(0, max(1, len(data) - OVERLAP), BLOCK - OVERLAP)
        return max(self._score(data[start : start + BLOCK]) for start in starts)

    def settled(self, threshold: float, trained: Mapping[str, Any]) -> Self:
        """The same weights with a threshold, and what they were trained on."""
        return replace(self, threshold=threshold, trained=trained)

    def save(self, folder: Path) -> None:
        """Write both files."""
        with atomic_file(folder / WEIGHTS) as file:
            file.write(save({"weights": self.weights.astype("<i2")}))
        write_json(folder / REST, {**self._rest, "digest": self.digest})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a model's folder (or its rail.json). Raises ModelError where it is not whole, not ours, or was changed."""
        folder = folder_of(path)
        rest = read_rest(folder)
        try:
            weights = load((folder / WEIGHTS).read_bytes())["weights"]
        except (OSError, SafetensorError, KeyError) as error:
            raise ModelError(f"{folder / WEIGHTS}: expected the weights of a model ({error}); train it again") from error
        if rest.get("scheme") != SCHEME or weights.dtype != np.int16 or weights.shape != (2**BITS,):
            raise ModelError(f"{folder}: expected a model with the features {SCHEME}, got {rest.get('scheme')}; train it again")
        said = rest.pop("digest", None)
        rest.pop("scheme")
        try:
            model = cls(weights=weights, **rest)
            if not all(map(math.isfinite, (model.scale, model.bias, model.threshold))):
                raise ValueError("scale, bias and threshold: expected finite numbers")
        except (TypeError, ValueError) as error:
            raise ModelError(f"{folder / REST}: expected what `trueline guard train` writes ({error})") from error
        check_digest(folder, said, model.digest)
        return model

    @property
    def _rest(self) -> dict[str, Any]:
        return {
            "scheme": SCHEME,
            "scale": self.scale,
            "bias": self.bias,
            "threshold": self.threshold,
            "trained": dict(self.trained),
        }

    def _score(self, data: bytes) -> float:
        found = running(features(data), last := len(data), self.weights)
        begins = np.arange(0, max(1, last - STEP), STEP)
        ends = np.minimum(begins + WINDOW, last)
        begins, ends = np.append(begins, 0), np.append(ends, last)  # the whole is a part, too
        count = np.maximum(found.features[ends] - found.features[begins], 1)
        return self.bias + self.scale * float(((found.weighs[ends] - found.weighs[begins]) / np.sqrt(count)).max())


class Running(NamedTuple):
    """Over a text of B bytes: what all features that begin before each place weigh, and how many they are. (B + 1,)"""

    weighs: NDArray[np.int64]
    features: NDArray[np.int64]


def running(found: Features, size: int, weights: NDArray[np.int16]) -> Running:
    """Add up weights along a text of so many bytes."""
    here, count = np.zeros((2, size), np.int64)
    for grams in found.grams:
        here[: len(grams)] += weights[grams]
        count[: len(grams)] += 1
    here[found.words] += weights[found.one]
    count[found.words] += 1
    here[found.words[:-1]] += weights[found.two]
    count[found.words[:-1]] += 1
    sums, counts = np.zeros((2, len(here) + 1), np.int64)
    np.cumsum(here, out=sums[1:])
    np.cumsum(count, out=counts[1:])
    return Running(sums, counts)
