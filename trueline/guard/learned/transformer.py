"""A small transformer over the words of a text, run by ONNX Runtime in whole numbers of 8 bits. No torch.

A text is worth the most of its windows of 128 words, each of which is scored alone: a score depends on no company. One thread,
and graph rewrites that do not depend on the machine, so that a text has the same score to the last bit whenever it is asked
for on one machine. On another machine products are the same, and the last digits of norms, softmax and gates may not be.

    model = Transformer.load(Path("models/harm"))
    model.score(fold(text)) > model.threshold

A model is two files: `rail.onnx` (graph and weights; onnx_file.py), and `rail.json` (everything else, and a digest over all).
`recipes/guard_classifier.py` trains it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from trueline.guard.learned.graph import Size
from trueline.guard.learned.model import REST, ModelError, check_digest, folder_of, read_rest
from trueline.guard.learned.onnx_file import file_size, weights_in
from trueline.guard.learned.words import BUCKETS, COLUMNS, SCHEME, WINDOW, windows, words
from trueline.store.folders import digest, write_bytes, write_json

KIND = "transformer-1"
GRAPH = "rail.onnx"
PLACES = WINDOW + 1  # a window begins with a row of nothing
LARGEST = 67_108_864  # bytes of a graph that is read
EXTRA = "a transformer rail runs on onnxruntime, which is not installed: pip install 'trueline[onnx]'"


@dataclass(frozen=True, kw_only=True, eq=False)
class Transformer:
    """The graph with its weights, and the score above which a rail acts."""

    size: Size
    graph: bytes = field(repr=False)  # the .onnx file
    threshold: float
    trained: Mapping[str, Any] = field(default_factory=dict)  # on what, as counts and hashes; plain values
    inline: ClassVar[bool] = False  # a page takes milliseconds, and a book seconds

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that scores depend on, the threshold and what it was trained on included."""
        return digest({**self._rest, "graph": hashlib.sha256(self.graph).hexdigest()})

    def score(self, text: str) -> float:
        """How much the folded text is like what must not pass, as log-odds. Linear in its length."""
        return max(self.score_of(window) for window in windows(words(text)))

    def score_of(self, window: NDArray[np.int64]) -> float:
        """The score of at most WINDOW words, given as rows (words.py). Raises ModelError where it is no number."""
        found = float(self._session.run(None, {"rows": with_places(window)})[0][0])
        if not math.isfinite(found):
            raise ModelError(f"expected a score, got {found}: the weights are too large; train the model again")
        return found

    def settled(self, threshold: float, trained: Mapping[str, Any]) -> Self:
        """The same weights with a threshold, and what they were trained on."""
        return replace(self, threshold=threshold, trained=trained)

    def save(self, folder: Path) -> None:
        """Write both files."""
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / GRAPH, self.graph)
        write_json(folder / REST, {**self._rest, "digest": self.digest})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a model's folder (or its rail.json).

        Raises ModelError where it is not whole, not ours, or was changed, and where onnxruntime is not installed.
        """
        folder = folder_of(path)
        rest = read_rest(folder)
        try:
            size = Size(**rest["size"])
            if not math.isfinite(rest["threshold"]):
                raise ValueError(f"threshold: expected a finite number, got {rest['threshold']}")
            model = cls(size=size, graph=b"", threshold=float(rest["threshold"]), trained=dict(rest["trained"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{folder / REST}: expected what `trueline guard train` writes ({error})") from error
        if rest.get("scheme") != model.scheme or (size.buckets, size.places) != (BUCKETS, PLACES):
            raise ModelError(f"{folder}: expected a model of {model.scheme}, got {rest.get('scheme')}; train it again")
        model = replace(model, graph=_graph_in(folder / GRAPH, size))
        check_digest(folder, rest.get("digest"), model.digest)
        _ = model._session
        return model

    @property
    def scheme(self) -> dict[str, Any]:
        """What a model must have been trained with."""
        return {"model": KIND, **SCHEME}

    @property
    def _rest(self) -> dict[str, Any]:
        return {
            "scheme": self.scheme,
            "size": asdict(self.size),
            "threshold": self.threshold,
            "trained": dict(self.trained),
        }

    @cached_property
    def _session(self) -> Any:
        check_runtime()
        import onnxruntime  # here alone: a gateway whose policy names no such model does not load it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.log_severity_level = 4  # what is wrong is raised
        return onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])


def check_runtime() -> None:
    """Raise ModelError where onnxruntime is not installed."""
    if not runtime_is_there():
        raise ModelError(EXTRA)


def runtime_is_there() -> bool:
    """Whether onnxruntime is installed."""
    return find_spec("onnxruntime") is not None


def with_places(window: NDArray[np.int64]) -> NDArray[np.int64]:
    """A window as the graph reads it, (1 + W, COLUMNS + 1): a row of nothing first, and in the last column each row's place."""
    rows = np.zeros((len(window) + 1, COLUMNS + 1), np.int64)
    rows[1:, :-1] = window
    rows[:, -1] = BUCKETS + np.arange(len(rows))
    return rows


def _graph_in(path: Path, size: Size) -> bytes:
    expected = file_size(size)
    if expected > LARGEST:
        raise ModelError(f"{path}: expected at most {LARGEST:,} bytes, got a size that takes {expected:,}; train a smaller one")
    try:
        with path.open("rb") as file:
            data = file.read(expected + 1)
        found = weights_in(size, data)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: expected the graph of a model ({error}); train it again") from error
    broken = [name for name, one in found.items() if one.dtype.kind == "f" and not np.isfinite(one).all()]
    if broken:
        raise ModelError(f"{path}: expected finite numbers in {', '.join(broken)}; train it again")
    return data
