"""Processes that train together, for tests: rank 0 calls a function with the mesh, the others follow it.

    found = together(2, "tests.train.test_team:losses", objective="dpo")        what rank 0's call returned

The function gets `mesh` first, then the keywords, which are JSON, and returns JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def begin(size, function, layout=None, **given):
    """Start the processes; each is a Popen with its rank's output in `.output`."""
    port = free_port()
    folder = Path(tempfile.mkdtemp())
    started = []
    for rank in range(size):
        place = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {
            **os.environ,
            **{k: str(v) for k, v in place.items()},
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        output = (folder / f"rank{rank}").open("w+")
        told = [function, json.dumps(layout or {}), json.dumps(given), str(folder / "answer")]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.ranks", *told],
            cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        process.output, process.answer = folder / f"rank{rank}", folder / "answer"
        started.append(process)
    return started


def finish(started, timeout=240):
    """Wait for all; rank 0's answer. What a failed rank said is in the error."""
    end = time.monotonic() + timeout
    for process in started:
        try:
            process.wait(max(1.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            for other in started:
                other.kill()
    failed = [f"rank {rank}: {p.returncode}\n{p.output.read_text()[-3000:]}" for rank, p in enumerate(started) if p.returncode]
    assert not failed, "\n".join(failed)
    return json.loads(started[0].answer.read_text())


def together(size, function, layout=None, **given):
    """Run `function` on rank 0 of so many processes; what it returned."""
    return finish(begin(size, function, layout, **given))


def main():
    """One rank's whole life."""
    import torch

    from trueline.cluster.launch import place
    from trueline.cluster.mesh import Layout, Mesh
    from trueline.train.team import dismiss, follow

    function, layout, given, answer = sys.argv[1:]
    torch.set_num_threads(1)
    module, _, name = function.partition(":")
    work = getattr(importlib.import_module(module), name)  # on every rank: a test's own objectives are registered there
    mesh = Mesh.join(place(), layout=Layout(**json.loads(layout)))
    if mesh.first:
        found = work(mesh, **json.loads(given))
        dismiss(mesh)
        Path(answer).write_text(json.dumps(found))
    else:
        follow(mesh)
    mesh.leave()


if __name__ == "__main__":
    main()
