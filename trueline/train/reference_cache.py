"""What the reference said, kept on disk: what one run has read, the next run on the same model and data need not read again.

An entry holds the table that `remember` made of one set of examples. Its name is the hash of all that the table follows from:
the examples (ids and masks, in the order in which they are read), the model (every tensor, so that a merged or adapted one is
another; its config; its dtype and device), the tokenizer with its chat template, and the versions of what computed it. So an
entry is never out of date; it is only no longer asked for.

What is read is what would have been computed, to the bit. That holds for one machine: the processor and the number of threads
are no part of the name, and the last bits may follow from them. `at_start` (objectives) compares the table with the model at
step 0 of every run, wherever it came from.

A file is written whole or not at all, so that writers may race; one whose contents do not match their own hash is made again.
"""

from __future__ import annotations

import hashlib
import os
import time
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from trueline import __version__
from trueline.models.checkpoint import digest_of
from trueline.models.configuration import installed
from trueline.models.policy import Policy
from trueline.models.tokens import Codec, Example
from trueline.store.folders import digest, write_bytes
from trueline.train.annotate_preference import Table, in_order, remember

LIMIT = 2**30  # bytes of all entries: 4 a trained token, so 60,000 pairs of replies of 300 tokens take 144 MB
ABANDONED = 24 * 3600.0  # seconds after which an unfinished file was left by a writer that was killed


@dataclass(frozen=True, slots=True)
class Remembered:
    """A table, and whether it was there already."""

    table: Table
    reused: bool


@dataclass(frozen=True)
class ReferenceCache:
    """A folder of tables, one a file; those used longest ago go when all are larger than `limit` bytes."""

    folder: Path
    limit: int = LIMIT

    def remember(self, model: Policy, *sets: Iterable[Example]) -> list[Remembered]:
        """What `model`, as it is now, says of each set of examples: from disk, or computed and written."""
        ordered = [in_order(examples) for examples in sets]
        who = identity_of(model) if any(ordered) else ""
        return [self._one(model, who, rows) for rows in ordered]

    def _one(self, model: Policy, who: str, rows: Sequence[Example]) -> Remembered:
        if not rows:
            return Remembered({}, reused=False)
        key = digest({"model": who, "rows": _rows_digest(rows)})
        path = self.folder / f"{key}.safetensors"
        found = _read(path, key, rows)
        if found is not None:
            with suppress(FileNotFoundError):  # another process may have dropped it since
                os.utime(path)  # used now: the others go first
            return Remembered(found, reused=True)
        table = remember(model, rows)
        logp = torch.cat([table[row] for row in rows])  # (K,), of all trained tokens
        header = {"key": key, "sha256": digest_of({"logp": logp}, key)}
        write_bytes(path, save({"logp": logp}, metadata=header))
        self._drop_oldest(path)
        return Remembered(table, reused=False)

    def _drop_oldest(self, newest: Path) -> None:
        """Keep the folder within its limit, and rid of what killed writers left. The newest entry stays, whatever its size."""
        entries: list[tuple[float, int, Path]] = []
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):
                known = path.stat()
                if path.suffix == ".safetensors" and path != newest:
                    entries.append((known.st_mtime, known.st_size, path))
                elif path.suffix == ".tmp" and time.time() - known.st_mtime > ABANDONED:
                    path.unlink()
        room = self.limit - newest.stat().st_size if newest.exists() else self.limit
        for _, size, path in sorted(entries, reverse=True):
            room -= size
            if room < 0:
                path.unlink(missing_ok=True)


def identity_of(model: Policy) -> str:
    """Hash what decides the log-probabilities that a model gives: weights, config, tokenizer, numeric details (sha256, hex).

    Where the model lies does not matter.
    """
    tensors = {**dict(model.model.named_buffers()), **model.model.state_dict()}
    config = {k: v for k, v in model.model.config.to_dict().items() if k != "_name_or_path"}
    about = {
        "config": repr(sorted(config.items())),
        "tensors": [[name, str(tensors[name].dtype), list(tensors[name].shape)] for name in sorted(tensors)],
        "codec": _codec_digest(model.codec),
        "numbers": [model.device.type, str(model.compute_dtype), torch.get_float32_matmul_precision()],
        "versions": [__version__, torch.__version__, installed()],
    }
    return digest_of(tensors, digest(about))


def _codec_digest(codec: Codec) -> str:
    tokenizer = codec.tokenizer
    return digest(
        {
            "class": type(tokenizer).__name__,
            "vocabulary": sorted(tokenizer.get_vocab().items()),
            "rules": tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else "",
            "special": repr(sorted(tokenizer.special_tokens_map.items())),
            "template": repr(tokenizer.chat_template),
            "stops": sorted(codec.stop_ids),
        }
    )


def _rows_digest(rows: Sequence[Example]) -> str:
    """Hash ids and masks, row after row; each says its length, so that no two lists of rows are the same bytes."""
    total = hashlib.sha256()
    for row in rows:
        total.update(array("q", (len(row.ids), *row.ids)).tobytes())
        total.update(bytes(row.mask))
    return total.hexdigest()


def _read(path: Path, key: str, rows: Sequence[Example]) -> Table | None:
    """The table of an entry that is whole and its own; None for any other file, and for none."""
    try:
        with safe_open(path, "pt") as file:
            header, logp = file.metadata() or {}, file.get_tensor("logp").clone()
    except (SafetensorError, OSError, RuntimeError):  # torch says RuntimeError where the file went while it was read
        return None
    counts = [sum(row.mask) for row in rows]
    if header.get("sha256") != digest_of({"logp": logp}, key) or logp.shape != (sum(counts),) or logp.dtype != torch.float32:
        return None
    parts: Sequence[Tensor] = logp.split(counts)
    return dict(zip(rows, parts, strict=True))
