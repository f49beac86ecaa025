"""Training checkpoints: one safetensors file a step, written whole or not at all, never a pickle.

The file holds tensors by name and a small JSON note (step, random state, counters) in its header.
A file whose contents do not match their own hash is skipped, and the one before it is used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from trueline.core.files import atomic_file

KEEP = 2
_NAME = re.compile(r"step-(\d{8})\.safetensors")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a run needs to go on from `step` (the number of steps already taken)."""

    step: int
    tensors: Mapping[str, Tensor]
    note: Mapping[str, object]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint and drop all but the newest KEEP."""
    tensors = {name: t.detach().contiguous().cpu() for name, t in checkpoint.tensors.items()}
    header = {"step": str(checkpoint.step), "note": json.dumps(dict(checkpoint.note))}
    header["sha256"] = digest_of(tensors, f"{header['step']} {header['note']}")
    path = folder / f"step-{checkpoint.step:08d}.safetensors"
    with atomic_file(path) as handle:
        handle.write(save(tensors, metadata=header))
    for old in sorted(p for p in folder.iterdir() if _NAME.fullmatch(p.name))[:-KEEP]:
        old.unlink(missing_ok=True)
    return path


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None."""
    if not folder.is_dir():
        return None
    for path in sorted((p for p in folder.iterdir() if _NAME.fullmatch(p.name)), reverse=True):
        try:
            with safe_open(path, "pt") as file:
                header = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        except (SafetensorError, OSError):
            continue
        if header and header.get("sha256") == digest_of(tensors, f"{header.get('step')} {header.get('note')}"):
            return Checkpoint(int(header["step"]), tensors, json.loads(header["note"]))
    return None


def digest_of(tensors: Mapping[str, Tensor], about: str = "") -> str:
    """Hash tensors by name and content (sha256, hex), wherever they are, with what is said `about` them."""
    total = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        total.update(name.encode())
        total.update(tensors[name].detach().cpu().flatten().view(torch.uint8).numpy())  # as bytes: numpy knows no bfloat16
    return total.hexdigest()
