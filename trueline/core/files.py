"""A file is written whole or not at all: temporary name, fsync, rename.

A reader never meets half a file, and a run that is killed while it writes leaves the old file standing.
A full disk is said in one line, with what was needed and what is free.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class DiskFullError(OSError):
    """No room left to write a file. Nothing was changed: the temporary file is gone and the old one still stands."""


def write_lines(path: str | Path, lines: Iterable[str]) -> int:
    """Write lines of text (UTF-8; `.gz`: compressed), whole or not at all; return how many there were."""
    path, count = Path(path), 0
    with atomic_file(path) as raw:
        # mtime=0 and no name: the same lines are the same bytes, so that content hashes can be compared.
        out = gzip.GzipFile("", "wb", 6, raw, mtime=0) if path.suffix == ".gz" else raw
        for line in lines:
            out.write(line.encode() + b"\n")
            count += 1
        if out is not raw:
            out.close()
    return count


@contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` for bytes; on success it is synced and takes that name, on failure it is gone."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        sync(path.parent)
    except BaseException as error:
        written = temporary.stat().st_size if temporary.exists() else 0
        temporary.unlink(missing_ok=True)
        raise_if_disk_full(error, path, written)
        raise


def file_hash(path: Path) -> str:
    """Hash what a file holds (sha256, hex)."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def raise_if_disk_full(error: BaseException, path: Path, needed: int) -> None:
    """Raise a DiskFullError in place of an error that means "no space left"; let any other pass. `needed` is in bytes."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) and not isinstance(error, DiskFullError):
        free = shutil.disk_usage(path.parent).free
        raise DiskFullError(
            error.errno,
            f"disk full while writing (more than {needed:,} bytes needed, {free:,} free); nothing was changed: "
            f"free some space, or write to another disk, and run the same command again",
            str(path),
        ) from error


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
