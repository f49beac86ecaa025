"""Training checkpoints of many ranks: each writes its own shards, and any number of ranks reads them (elastic resume).

`torch.distributed.checkpoint` does the work, in the ecosystem's own safetensors: no file here is a pickle. A checkpoint is a
folder `step-00000012`, written under another name and renamed when every rank is done, with `note.json` beside the shards: the
step, what the run notes, and the SHA-256 of every file. One whose files are not what the note says is passed over.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch.distributed.checkpoint as dcp
from safetensors import safe_open
from torch import Tensor
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter

from trueline.core.files import file_hash, sync

NOTE = "note.json"


class UnsharedError(RuntimeError):
    """Ranks do not see the same folder."""


def write_shards(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write every rank's part of the tensors into `folder`, all ranks at the same time."""
    with _quiet():
        dcp.save(dict(tensors), storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))


def read_shards(folder: Path, tensors: Mapping[str, Tensor], alone: bool = False) -> None:
    """Fill tensors, sharded or whole, from the shards in `folder`, whoever wrote them; `alone`: without other ranks."""
    with _quiet():
        dcp.load(dict(tensors), storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=alone)


def settle(under: Path, folder: Path, note: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Make a checkpoint of what all ranks wrote into `under`: note the files' hashes, and give it its name.

    `sizes` are the numbers that each tensor has. Raises UnsharedError where some of them were written elsewhere.
    """
    written: Counter[str] = Counter()
    paths = sorted(under.glob("*.safetensors"))
    for path in paths:
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                written[name] += math.prod(file.get_slice(name).get_shape())
    if missing := [name for name, size in sizes.items() if written[name] != size]:
        raise UnsharedError(
            f"{folder.parent} holds {written[missing[0]]} of the {sizes[missing[0]]} numbers of {missing[0]}: other ranks "
            "write to a folder of that name on disks of their own; give --out on a disk that all machines share"
        )
    (under / NOTE).write_text(json.dumps({**note, "files": {path.name: file_hash(path) for path in paths}}), encoding="utf-8")
    for path in (*paths, under / NOTE):
        sync(path)
    shutil.rmtree(folder, ignore_errors=True)  # of the same step, by an earlier sitting
    under.replace(folder)
    sync(folder.parent)


def noted(folder: Path) -> dict[str, Any] | None:
    """What was noted of a checkpoint that is whole, else None."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        whole = {name: file_hash(folder / name) for name in note["files"]} == note["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note if whole else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the library says to those who may have meant something else."""
    logger = logging.getLogger("torch.distributed.checkpoint")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
