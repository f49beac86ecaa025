"""Files and folders that are there whole or not at all; what is in them (hashes); and who may write (a lock).

Built on `core.files`. A folder cannot be renamed over another in one step, as a file can: `replace_directory` moves the old one
aside first, and `settle` (called when a run is opened for writing) puts right what a kill between the two steps left.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trueline.core.files import atomic_file, raise_if_disk_full, sync

_NEW, _OLD = ".new", ".old"


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


@contextmanager
def replace_directory(path: str | Path) -> Iterator[Path]:
    """Give an empty folder to fill; on success it takes the name `path`, on failure the old folder still stands."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_NEW}")
    fresh.mkdir()
    try:
        yield fresh
        for entry in [fresh, *fresh.rglob("*")]:
            sync(entry)
    except BaseException as error:
        written = sum(entry.stat().st_size for entry in fresh.rglob("*") if entry.is_file())
        shutil.rmtree(fresh, ignore_errors=True)
        raise_if_disk_full(error, path, written)
        raise
    aside = path.with_name(f".{path.name}{_OLD}")
    if path.exists():
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
    fresh.rename(path)
    sync(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def settle(folder: str | Path) -> None:
    """Put right what killed writers left below a folder: drop unfinished files and folders, restore a folder moved aside.

    Only for a process that holds the folder's lock: a living writer's temporary file looks the same.
    """
    for left in sorted(Path(folder).rglob(".*"), reverse=True):
        if left.is_dir() and left.name.endswith(_OLD):
            place = left.with_name(left.name[1 : -len(_OLD)])
            shutil.rmtree(left) if place.exists() else left.rename(place)
        elif left.is_dir() and left.name.endswith(_NEW):
            shutil.rmtree(left)
        elif left.is_file() and left.name.endswith(".tmp"):
            left.unlink()


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
        return _file_hash(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: expected a file or a folder to hash, found nothing; check the name")
    files = sorted(entry for entry in path.rglob("*") if entry.is_file())
    return digest([[entry.relative_to(path).as_posix(), _file_hash(entry)] for entry in files])


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


def _file_hash(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
