"""A real PostgreSQL for tests: a cluster in a temporary folder, which only this user can reach, and which ends with its owner.

    with cluster() as server, server.database() as url:
        engine = open_database(url)

It answers on a socket of the file system, so that it needs no port and nobody else on the machine can log in. initdb refuses
root, so that root runs it as `postgres` or `nobody`. A keeper, a process of its own, waits for the end of its input: that comes
when the owner closes it, and also when the owner is killed; then the keeper stops the server and removes the folder.
Nothing is written through to the disk: a test that survives a power cut is not asked for.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

_PLACES = "/usr/lib/postgresql"  # Debian's; a folder for each version
_HURRIED = (
    "listen_addresses=''", "fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal",
    "max_wal_senders=0", "max_connections=100", "shared_buffers=64MB",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Server:
    """A cluster that runs, its socket in `folder`; the keeper is the process that ends it."""

    folder: Path
    keeper: int
    _numbers: Iterator[int] = field(default_factory=count, repr=False)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database and give its URL; it goes with everyone who is still connected to it."""
        import psycopg

        name = f"test{next(self._numbers)}"
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as door:
            door.execute(f"CREATE DATABASE {name}")
            try:
                yield f"postgresql://postgres@/{name}?host={self.folder}"
            finally:
                door.execute(f"DROP DATABASE {name} WITH (FORCE)")


def missing() -> str:
    """Say what has to be installed before a cluster can be started; nothing where all is there."""
    if not programs():
        return "no PostgreSQL: apt-get install postgresql (make pages does it), or set TRUELINE_TEST_POSTGRES"
    if not find_spec("psycopg"):
        return "no driver of PostgreSQL: pip install 'trueline[postgres]'"
    return ""


def programs() -> Path | None:
    """Where initdb and pg_ctl lie: on PATH, else where Debian puts the newest of them."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = [path.parent for path in Path(_PLACES).glob("*/bin/initdb")]
    return max(versions, key=lambda path: float(path.parent.name), default=None)


@contextmanager
def cluster() -> Iterator[Server]:
    """Start a cluster, and end it."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        told = json.loads(keeper.stdout.readline() or '{"error": "the keeper ended before it said anything"}')
        if "error" in told:
            raise RuntimeError(f"PostgreSQL does not start: {told['error']}")
        try:
            yield Server(folder=Path(told["folder"]), keeper=keeper.pid)
        finally:
            keeper.stdin.write("end\n")  # a child that was forked may still hold the other end open
            keeper.stdin.close()
            keeper.wait()


def keep() -> None:
    """Be the keeper: start a cluster, say where, wait for the end of the input, and leave nothing."""
    where = programs()
    assert where is not None
    folder = Path(tempfile.mkdtemp(prefix="trueline-postgres-"))
    data, log = folder / "data", folder / "log"
    settings = " ".join(f"-c {setting}" for setting in (*_HURRIED, f"unix_socket_directories={folder}"))
    try:
        if user := _somebody():
            os.chown(folder, user["user"], user["group"])
        for words in (
            ["initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            ["pg_ctl", "start", "-w", "-s", "-D", data, "-l", log, "-o", settings],
        ):
            with (folder / "said").open("w+") as said:  # no pipe: the server would hold it open
                quiet = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said, "cwd": folder}
                done = subprocess.run([where / words[0], *words[1:]], check=False, **quiet, **user)
                said.seek(0)
                if done.returncode:
                    print(json.dumps({"error": said.read() + (log.read_text() if log.exists() else "")}), flush=True)  # noqa: T201 - the owner reads it
                    return
        print(json.dumps({"folder": str(folder)}), flush=True)  # noqa: T201 - the owner reads it
        sys.stdin.readline()
    finally:
        if (data / "postmaster.pid").exists():
            subprocess.run([where / "pg_ctl", "stop", "-s", "-m", "immediate", "-D", data], cwd=folder, check=False, **user)
        shutil.rmtree(folder, ignore_errors=True)


def _somebody() -> dict[str, Any]:
    """Who runs it, where this is root; else nobody else."""
    if os.geteuid():
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}


if __name__ == "__main__":
    keep()
