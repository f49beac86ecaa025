"""A model's folder as the model that it holds, whichever kind its rail.json says.

load_model(Path("models/harm")).score("fold me first")
"""

from __future__ import annotations

from pathlib import Path

from trueline.guard.learned.linear import Linear
from trueline.guard.learned.model import Model, folder_of, read_rest
from trueline.guard.learned.transformer import KIND, Transformer


def load_model(path: Path) -> Model:
    """Read a model's folder (or its rail.json). Raises ModelError where it is not whole, not ours, or was changed."""
    scheme = read_rest(folder_of(path)).get("scheme")
    kind = scheme.get("model") if isinstance(scheme, dict) else None
    return Transformer.load(path) if kind == KIND else Linear.load(path)
