"""Ranks as processes of this machine, with a store, gloo and a watchdog, in the scenes that `test_watchdog.py` plays.

python -m tests.cluster.ranks FOLDER      # prints one JSON line a scene: exit codes, and what each rank wrote to stderr
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed as dist

from trueline.cluster.watchdog import Watchdog

TIMEOUT = 1.0
IN_TIME = 3.0  # more than what a busy machine needs to start three processes
HOSTILE = 'step "12"\x1b[2J\n\u202eranks 0 to 9'
Part = Callable[[Watchdog, dist.Store, int], None]


def meet(dog: Watchdog, name: str) -> None:
    """One collective, as training makes them."""
    with dog.at(name):
        dist.all_reduce(torch.ones(1))


def lost_in_thought() -> None:
    time.sleep(60)


def one_is_missing(dog: Watchdog, store: dist.Store, rank: int) -> None:
    for step in (1, 2, 3):
        meet(dog, f"gradients of step {step}")
    if rank == 2:
        lost_in_thought()
    meet(dog, "gradients of step 4")


def at_another_barrier(dog: Watchdog, store: dist.Store, rank: int) -> None:
    with dog.at(HOSTILE if rank else "the norm"):
        store.wait(["never"], timedelta(seconds=60))


def all_in_time(dog: Watchdog, store: dist.Store, rank: int) -> None:
    for step in (1, 2, 3):
        if rank == step:
            time.sleep(TIMEOUT / 2)
        meet(dog, f"gradients of step {step}")
    if rank == 0:
        time.sleep(1.5 * IN_TIME)
        store.set("order", "go on")
    else:
        with dog.idle():
            store.wait(["order"], timedelta(seconds=60))
    meet(dog, "the end")
    dog.close()


def one_is_killed(dog: Watchdog, store: dist.Store, rank: int) -> None:
    if rank == 1:
        with dog.at("its last"):
            time.sleep(TIMEOUT / 2)
            os.kill(os.getpid(), signal.SIGKILL)
    with dog.at("an answer of rank 1"):
        store.wait(["answer"], timedelta(seconds=60))


def one_has_ended(dog: Watchdog, store: dist.Store, rank: int) -> None:
    if rank == 1:
        dog.close()
        return
    with dog.at("an answer of rank 1"):
        store.wait(["answer"], timedelta(seconds=60))


def the_store_is_silent(dog: Watchdog, store: dist.Store, rank: int) -> None:
    if rank == 0:
        os.kill(int(store.get("keeper")), signal.SIGSTOP)
    with dog.at("gradients of step 1"):
        lost_in_thought()


def the_first_is_gone(dog: Watchdog, store: dist.Store, rank: int) -> None:
    if rank == 0:
        time.sleep(TIMEOUT)  # it is heard of
        os.kill(os.getpid(), signal.SIGKILL)
    with dog.idle():
        lost_in_thought()


def nobody_is_there(dog: Watchdog, store: dist.Store, rank: int) -> None:
    if rank == 0:
        store.wait(["the other is there"], timedelta(seconds=60))
        os.kill(int(store.get("keeper")), signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGKILL)
    store.set("the other is there", "")
    with dog.idle():
        lost_in_thought()


SCENES: dict[str, tuple[Part, int]] = {  # and how many ranks
    part.__name__: (part, size)
    for part, size in (
        (one_is_missing, 3),
        (at_another_barrier, 2),
        (all_in_time, 3),
        (one_is_killed, 2),
        (one_has_ended, 2),
        (the_store_is_silent, 1),
        (the_first_is_gone, 2),
        (nobody_is_there, 2),
    )
}


def fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def play(name: str, folder: Path) -> dict[str, object]:
    """Play a scene: a process that keeps the store, and one for each rank."""
    part, size = SCENES[name]
    (folder / name).mkdir(parents=True)
    told, tell = os.pipe()

    def keep() -> None:
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        store.set("keeper", str(os.getpid()))
        os.write(tell, f"{store.port}\n".encode())
        time.sleep(600)

    keeper = fork(keep)
    port = int(os.read(told, 10))

    def rank_of(rank: int) -> Callable[[], None]:
        def work() -> None:
            os.dup2(os.open(folder / name / f"rank{rank}.err", os.O_WRONLY | os.O_CREAT, 0o644), 2)
            store = dist.TCPStore("127.0.0.1", port, is_master=False)
            if part in (one_is_missing, all_in_time):
                dist.init_process_group("gloo", store=dist.PrefixStore("group", store), rank=rank, world_size=size)
            timeout = IN_TIME if part is all_in_time else TIMEOUT
            part(Watchdog(store, rank, size, timeout, folder / name / "stacks"), store, rank)

        return work

    ranks = [fork(rank_of(rank)) for rank in range(size)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in ranks]
    os.kill(keeper, signal.SIGKILL)
    os.waitpid(keeper, 0)
    said = [(folder / name / f"rank{rank}.err").read_text() for rank in range(size)]
    return {"scene": name, "codes": codes, "said": said}


if __name__ == "__main__":
    for scene in SCENES:
        sys.stdout.write(f"{json.dumps(play(scene, Path(sys.argv[1])))}\n")
        sys.stdout.flush()
