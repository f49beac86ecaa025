"""A run's checkpoints, by one process or by many: which is the newest that is whole, and what to take up from it.

    found = latest(folder)                  a Kept, or None
    found.fill(tensors)                     weights and momenta, whole ones

One process writes a file (`models/checkpoint.py`), many ranks a folder of shards (`cluster/checkpoints.py`). Either is read by
any number of processes, so a run may go on with more of them or fewer than it was begun with.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trueline.models.checkpoint import KEEP, Checkpoint, latest_checkpoint
from trueline.train.optim import Optimizer

BESIDE = "beside.safetensors"  # in a folder of shards: what is not sharded
_NAME = re.compile(r"step-(\d{8})(\.safetensors)?")


@dataclass(frozen=True)
class Kept:
    """A checkpoint: the step, what the loop noted, what keepers keep, and where weights and momenta are."""

    step: int
    note: Mapping[str, Any]
    beside: Mapping[str, Tensor]
    folder: Path | None = None  # of shards
    whole: Mapping[str, Tensor] | None = None  # of one process, with all that is in `beside`

    @torch.no_grad()
    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Put weights and momenta back where they are whole."""
        if self.whole is None:
            from trueline.cluster.checkpoints import read_shards

            assert self.folder is not None
            read_shards(self.folder, tensors, alone=True)
            return
        for name, tensor in tensors.items():
            tensor.copy_(self.whole[name])


def tensors_of(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """What a checkpoint holds of a model and its optimiser, by name."""
    tensors = {f"model.{n}": p.detach() for n, p in model.named_parameters() if p.requires_grad}
    return tensors | {f"optimizer.{n}": t for n, t in optimizer.state().items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin so, without the beginning."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def latest(folder: Path) -> Kept | None:
    """The newest checkpoint that is whole, whoever wrote it; None where there is none."""
    one, many = latest_checkpoint(folder), _shards(folder)
    if one is not None and (many is None or one.step >= many.step):
        return _of(one)
    return many


def begin(folder: Path, beside: Mapping[str, Tensor]) -> Path:
    """A folder under a temporary name for ranks to write into, with what is not sharded already there."""
    place = folder / ".writing"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    save_file({name: t.detach().cpu().contiguous() for name, t in beside.items()}, place / BESIDE)
    return place


def finish(place: Path, step: int, note: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Give what ranks wrote its name, and drop all but the newest KEEP checkpoints of either kind; `sizes` is what is due."""
    from trueline.cluster.checkpoints import settle

    folder = place.parent
    settle(place, folder / f"step-{step:08d}", {"step": step, "note": dict(note)}, sizes)
    for old in sorted(p for p in folder.iterdir() if _NAME.fullmatch(p.name))[:-KEEP]:
        shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)


def _of(one: Checkpoint) -> Kept:
    return Kept(one.step, one.note, under("keep.", one.tensors), whole=one.tensors)


def _shards(folder: Path) -> Kept | None:
    there = folder.iterdir() if folder.is_dir() else ()
    for place in sorted((p for p in there if p.is_dir() and _NAME.fullmatch(p.name)), reverse=True):
        from trueline.cluster.checkpoints import noted  # it imports for a second: not for a run of one process

        if (note := noted(place)) is not None:
            return Kept(int(note["step"]), note["note"], load_file(place / BESIDE), folder=place)
    return None
