"""Files that are there whole or not at all; what is in files and folders (hashes); and who may write (a lock).

Built on `core.files`. `settle`, called when a run is opened for writing, drops what a killed writer had not finished.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trueline.core.files import atomic_file, file_hash


class BusyError(RuntimeError):
    """Another process writes here."""


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_file(path) as handle:
        handle.write(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: object) -> None:
    """Write plain JSON values to a file, indented, whole or not at all; letters as they are, where UTF-8 has them."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, as a cut-off escape leaves it
        text = json.dumps(value, indent=2, allow_nan=False)
    write_text(path, text + "\n")


def settle(folder: str | Path) -> None:
    """Drop the unfinished files that killed writers left below a folder.

    Only for a process that holds the folder's lock: a living writer's temporary file looks the same.
    """
    for left in list(Path(folder).rglob(".*")):
        if unfinished(left):
            left.unlink()


def unfinished(path: Path) -> bool:
    """Whether a file is one that its writer, who may have been killed, did not finish."""
    return path.name.startswith(".") and path.name.endswith(".tmp") and path.is_file()


def digest(value: object) -> str:
    """Hash plain JSON values (sha256, hex): the order of keys does not matter, and a tuple counts as a list.

    >>> digest({"a": 1, "b": (2,)}) == digest({"b": [2], "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def content_hash(path: str | Path) -> str:
    """Hash what a file or a folder holds (sha256, hex): names below it and bytes, never dates or where it lies."""
    path = Path(path)
    if path.is_file():
        return file_hash(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: expected a file or a folder to hash, found nothing; check the name")
    files = sorted(entry for entry in path.rglob("*") if entry.is_file())
    return digest([[entry.relative_to(path).as_posix(), file_hash(entry)] for entry in files])


def git_commit(folder: str | Path = ".") -> str:
    """Return the commit that a folder is at, or "" where git or a repository is missing. Never fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@contextmanager
def lock(path: str | Path) -> Iterator[None]:
    """Hold a lock file, or raise a BusyError that names the process which holds it.

    The kernel drops the lock when the process ends, however it ends; the file stays, and means nothing by itself.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 100).decode(errors="replace").strip() or "another process"
            raise BusyError(
                f"{path.parent}: {holder} is writing here; wait until it ends, stop it, or choose another folder"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
