"""Processes that train together, for tests: rank 0 calls a function with the mesh, the others follow it.

    found = together(2, losses, name="pairs")        what rank 0's call returned
    started = begin(2, fatal)                        ranks under way; `ended(started)` gives their exit codes

They are forked, so that nothing is imported again. The function gets `mesh` first, then the keywords, and returns JSON.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import torch

from trueline.cluster.launch import Place
from trueline.cluster.mesh import Layout, Mesh
from trueline.train.team import dismiss, follow

LIMIT = 240.0  # seconds


@dataclass(frozen=True)
class Rank:
    """A rank under way: its process, and where it writes."""

    process: int
    folder: Path
    rank: int

    @property
    def said(self) -> str:
        return (self.folder / f"rank{self.rank}").read_text()


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def begin(size, work, layout=None, **given):
    """Start the ranks."""
    port, folder = free_port(), Path(tempfile.mkdtemp())
    sys.stdout.flush()
    sys.stderr.flush()
    started = []
    for rank in range(size):
        process = os.fork()
        if not process:
            _live(Place(rank, size, rank), port, folder, work, layout or {}, given)
        started.append(Rank(process, folder, rank))
    return started


def ended(started):
    """The exit code of every rank, once all have ended; negative: of the signal."""
    codes, deadline = {}, time.monotonic() + LIMIT
    while len(codes) < len(started):
        for rank in started:
            if rank.rank not in codes:
                found, status = os.waitpid(rank.process, os.WNOHANG)
                codes |= {rank.rank: os.waitstatus_to_exitcode(status)} if found else {}
        if time.monotonic() > deadline:
            for rank in started:
                if rank.rank not in codes:
                    os.kill(rank.process, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(0.01)
    return [codes[rank.rank] for rank in started]


def together(size, work, layout=None, **given):
    """Call `work` on rank 0 of so many ranks; what it returned. What a rank that failed said is in the error."""
    started = begin(size, work, layout, **given)
    codes = ended(started)
    assert not any(codes), "\n".join(f"rank {r.rank}: {code}\n{r.said[-3000:]}" for r, code in zip(started, codes, strict=True))
    return json.loads((started[0].folder / "answer").read_text())


def _live(place, port, folder, work, layout, given):
    """A rank's whole life."""
    code = 1
    try:
        with (folder / f"rank{place.rank}").open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        os.environ.update({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(place.rank)})
        torch.set_num_threads(1)
        mesh = Mesh.join(place, layout=Layout(**layout))
        if mesh.first:
            found = work(mesh, **given)
            dismiss(mesh)
            (folder / "answer").write_text(json.dumps(found))
        else:
            follow(mesh)
        mesh.leave()
        code = 0
    except BaseException:
        with (folder / f"rank{place.rank}").open("a") as output:
            traceback.print_exc(file=output)
    finally:
        os._exit(code)
