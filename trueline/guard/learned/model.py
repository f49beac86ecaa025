"""What every model of the learned rail is: a score for a text, a threshold, a digest, and a folder that it is read from.

    model = load_model(Path("models/harm"))      # loading.py: of whatever kind the folder says
    model.score(fold(text)) > model.threshold

A folder holds the weights and `rail.json`: what kind it is, the threshold, what it was trained on, and a digest over all of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

REST = "rail.json"
LARGEST = 1_048_576  # bytes of a rail.json that is read


class ModelError(ValueError):
    """A model that cannot be used; the message says which file, what was expected and what to do."""


class Model(Protocol):
    """A trained model. Its score is of one folded text, and depends on nothing else."""

    @property
    def threshold(self) -> float: ...  # a rail acts above it

    @property
    def trained(self) -> Mapping[str, Any]: ...  # on what, as counts and hashes; plain values

    @property
    def digest(self) -> str: ...  # SHA-256 over all that scores depend on, the threshold and `trained` included

    @property
    def inline(self) -> bool: ...  # whether a score is had so soon that nobody else need be served meanwhile

    def score(self, text: str) -> float: ...

    def settled(self, threshold: float, trained: Mapping[str, Any]) -> Self:
        """The same weights with a threshold, and what they were trained on."""
        ...

    def save(self, folder: Path) -> None: ...


def folder_of(path: Path) -> Path:
    """A model's folder, by its own name or that of its rail.json."""
    return path.parent if path.name == REST else path


def read_rest(folder: Path) -> dict[str, Any]:
    """What stands in a folder's rail.json. Raises ModelError."""
    path = folder / REST
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ModelError(f"{path}: expected at most {LARGEST:,} bytes, got more; train it again")
        rest = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path}: expected a model that `trueline guard train` wrote ({error})") from error
    if not isinstance(rest, dict):
        raise ModelError(f"{path}: expected an object, got {type(rest).__name__}")
    return rest


def check_digest(folder: Path, said: object, found: str) -> None:
    """Raise ModelError where the files are not those that were written."""
    if said != found:
        raise ModelError(f"{folder}: expected the digest {said}, got {found}: the files were changed; train it again")
