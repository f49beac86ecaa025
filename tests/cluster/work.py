"""What workers are asked to do in tests."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path


def square(item, bench):
    return {"of": item, "is": item * item}


def pid(item, bench):
    time.sleep(0.02)
    return os.getpid()


def uneven(item, bench):
    """The first take longest."""
    time.sleep(0.2 if item == 0 else 0.001)
    return item


def fails_at_three(item, bench):
    if item == 3:
        raise KeyError("three is not to be had")
    return item


def dies_at_three(item, bench):
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def dies_once(item, bench):
    """Every fourth item takes its worker with it, the first time."""
    mark = Path(item["folder"]) / str(item["n"])
    if item["n"] % 4 == 0 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item["n"]


def chats(item, bench):
    sys.stdout.write("nothing of what a task prints is taken for a result\n")
    return item


def opened(item, bench):
    """How often this worker opened what the item names, and what it has open."""

    @contextmanager
    def opening():
        with (Path(item["folder"]) / "log").open("a") as log:
            log.write(f"open {item['key']} {os.getpid()}\n")
        yield item["key"]
        with (Path(item["folder"]) / "log").open("a") as log:
            log.write(f"close {item['key']} {os.getpid()}\n")

    return bench.warm(item["key"], opening)


def turns(item, bench):
    """The waits that the shared pace asks for, and what is spent up."""

    async def take():
        return [await bench.take("target", apart=0.01, spends={"requests": 1}, limits={"requests": 10}) for _ in range(item)]

    return [[taken.wait, taken.over] for taken in asyncio.run(take())]


def looks_up(item, bench):
    return asyncio.run(bench.find(item))


def leaves_a_mark(item, bench):
    (Path(item["folder"]) / f"{item['n']}-{os.getpid()}").touch()
    time.sleep(item.get("seconds", 0))
    return item["n"]


def dies_amid_its_word(item, bench):
    """The second item takes its worker with it while the result is written, the first time."""
    mark = Path(item["folder"]) / str(item["n"])
    if item["n"] == 1 and not mark.exists():
        mark.touch()
        os.write(bench._ask.__self__._to.fileno(), b'{"done": [1, ')
        os.kill(os.getpid(), signal.SIGKILL)
    return item["n"]
