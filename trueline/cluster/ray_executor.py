"""An Executor on Ray: the same tasks, on every machine of a cluster that somebody started.

    ray start --head                                                    # on one machine, then on each other:
    ray start --address HEAD:6379
    trueline attack TARGET --cluster auto                               # on any of them; from outside: ray://HEAD:10001

Here we only connect. Ray runs a task again whose worker or machine was lost, and we bound how often; it is given a function's
name and JSON text, and gives JSON text back. Every machine needs this version of trueline, the environment variables with the
keys, and the files that are named, under the same paths. Ray's own protocol pickles and asks nobody for a password: whoever
reaches its ports can run programs on its machines, so keep them inside (decisions/0021).
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import trueline
from trueline.cluster.bench import Bench, do, work_named
from trueline.cluster.desk import Desk
from trueline.cluster.executor import AHEAD, NOTHING, RETRIES, in_order
from trueline.cluster.tender import Ended
from trueline.core.limits import Tally

if TYPE_CHECKING:
    import ray

Json = Any
KNOCK = 10.0  # seconds for an address to take a connection
PAUSE = 3.0  # seconds before a task goes out again that was lost with its machine; Ray takes a while to call one dead
SPACE = "trueline"  # Ray's namespace that the desks of our drivers are named in


@dataclass
class RayExecutor:
    """Workers of the Ray cluster at an address: `auto`, HOST:PORT, or ray://HOST:PORT from outside of it."""

    address: str = "auto"
    workers: int = 0  # tasks at a time; 0: one for each processor of the cluster, as it is when we connect
    retries: int = RETRIES
    cpus: float = 1.0  # processors that one task holds
    gpus: float = 0.0
    _name: str = field(default_factory=lambda: f"desk-{secrets.token_hex(8)}", init=False, repr=False)
    _desk: Any = field(default=None, init=False, repr=False)
    _ours: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.workers < 0 or self.retries < 0 or min(self.cpus, self.gpus) < 0:
            raise ValueError(f"expected no negative number, got {self}")
        if self.address != "auto" and not re.fullmatch(r"(ray://)?[^/\s]+:\d+", self.address):
            raise ValueError(f"--cluster {self.address}: expected auto, HOST:PORT or ray://HOST:PORT")

    def __enter__(self) -> Self:
        """Connect. Raises ValueError where Ray is not installed, or where none answers."""
        ray = _ray()
        if not ray.is_initialized():
            self._ours = True
            with _handlers_kept():
                _connect(ray, self.address)
        there = ray.cluster_resources()
        most = min(
            (int(there.get(kind, 0) / each) for kind, each in (("CPU", self.cpus), ("GPU", self.gpus)) if each), default=1
        )
        if self.gpus and not most:
            self._leave()
            raise ValueError(f"--cluster {self.address}: expected machines with GPUs, for --device cuda; the cluster has none")
        self.workers = self.workers or max(1, most)
        # Beside us: a machine whose loss we do not survive anyway.
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        kind = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(_Desk)
        self._desk = kind.options(name=self._name, namespace=SPACE).remote()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the desk away, and leave the cluster."""
        ray = _ray()
        ray.kill(self._desk)
        self._leave()

    def _leave(self) -> None:
        if self._ours:
            _ray().shutdown()

    def map(
        self,
        work: str,
        items: Iterable[Json],
        *,
        known: Mapping[str, str] = NOTHING,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Iterator[Json]:
        """As `Executor.map`; one at a time."""
        work_named(work)
        ray = _ray()
        if known:
            ray.get(self._desk.know.remote(dict(known)))
        task = ray.remote(max_retries=self.retries, retry_exceptions=False, num_cpus=self.cpus, num_gpus=self.gpus)(_task)
        call = _Call(ray, task, (self._name, trueline.__version__, str(Path.cwd()), work), self.workers, self.retries)
        try:
            yield from in_order(items, self.workers * AHEAD, call.start, call.ended, progress)
        finally:
            call.stop()


@dataclass
class _Call:
    """One `map`: what waits here, and what Ray was given; never more than there are workers, who share a target's pace.

    Ray can spend all its retries on a machine that is gone before it finds out that it is; such a task is given again.
    """

    ray: Any
    task: Any
    told: tuple[str, ...]
    workers: int
    retries: int
    waiting: deque[_Job] = field(default_factory=deque)
    given: dict[ray.ObjectRef, _Job] = field(default_factory=dict)  # oldest first

    def start(self, number: int, item: str) -> None:
        self.waiting.append(_Job(number, item))
        self._give()

    def ended(self) -> Ended:
        errors = self.ray.exceptions
        while True:
            (ended, *_), _ = self.ray.wait(list(self.given), num_returns=1)
            job = self.given.pop(ended)
            try:
                found: str | Exception = self.ray.get(ended)
            except (errors.NodeDiedError, errors.ObjectLostError) as error:
                found = _lost(error)
                job.lost += 1
                if job.lost <= self.retries:
                    time.sleep(PAUSE)
                    self.waiting.append(job)
                    found = ""
            except errors.RayError as error:  # its last word, after all of Ray's retries
                found = _lost(error)
            self._give()
            if found:
                return job.number, found

    def stop(self) -> None:
        """Take back what nobody waits for."""
        for reference in self.given:
            self.ray.cancel(reference, force=True)

    def _give(self) -> None:
        while self.waiting and len(self.given) < self.workers:
            job = self.waiting.popleft()
            self.given[self.task.remote(*self.told, job.item)] = job


@dataclass
class _Job:
    number: int
    item: str
    lost: int = 0  # machines that it was lost with, beyond Ray's own retries


def _lost(error: Exception) -> RuntimeError:
    return RuntimeError(f"its worker was lost ({type(error).__name__}): {' '.join(str(error).split())}")


class _Desk:
    """The desk as an actor."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._desk = Desk(tally=self._tally)

    def know(self, known: dict[str, str]) -> None:
        self._desk = Desk(tally=self._tally, known=known)

    def answer(self, asked: dict[str, Json]) -> Json:
        return self._desk.answer(asked)


def _task(desk: str, version: str, folder: str, work: str, item: str) -> str:
    """One task, in a worker of Ray."""
    if version != trueline.__version__:
        raise RuntimeError(f"a machine of the cluster has trueline {trueline.__version__}, the driver {version}: make them one")
    with suppress(OSError):  # a machine without that folder can still ask a remote target
        os.chdir(folder)
    return do(_bench(desk), work, item)


@cache
def _bench(desk: str) -> Bench:
    """The bench of this worker process; Ray ends its workers with the driver that they work for."""
    actor = _ray().get_actor(desk, namespace=SPACE)
    return Bench(lambda asked: actor.answer.remote(dict(asked)).future())


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")  # of a lost machine it would write pages, to standard output
    try:
        import ray
        import ray.util.scheduling_strategies
    except ModuleNotFoundError:
        raise ValueError("expected Ray for --cluster, found none; install it: pip install 'trueline[ray]'") from None
    return ray


def _connect(ray: Any, address: str) -> None:
    try:
        if address != "auto":  # Ray itself would wait for minutes
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()
        ray.init(address=address, namespace=SPACE, log_to_driver=False, logging_level="error")
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        why = " ".join(str(error).split())
        raise ValueError(
            f"--cluster {address}: expected a Ray cluster, none answered: {why}; start one with `ray start --head`, and "
            f"name it auto on its machines, ray://HOST:10001 elsewhere"
        ) from None


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Ray puts a handler of its own for SIGTERM; the command line has one already."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
