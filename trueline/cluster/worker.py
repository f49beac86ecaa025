"""A worker process of `executor.Local`: a fresh interpreter that is told tasks, and tells results, a line of JSON each.

    {"do": "package.module:function", "item": "..."}   ->   {"done": ...} or {"failed": ...}
    {"told": 7, "answer": ...}                         <-   {"ask": 7, "what": {...}}       the desk, in the middle of a task

What it prints goes to standard error, where it disturbs no line. It ends when its parent does, whatever it is at.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import IO, Any

from trueline.cluster.bench import Bench, do
from trueline.core import stopping
from trueline.core.processes import dies_with


def main(parent: int) -> None:
    """Work until the parent closes the pipe, or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    if not dies_with(parent):
        return
    source, to = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    line = Line(to)
    tasks: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(source, tasks, line), daemon=True).start()
    bench = Bench(line.ask)
    try:
        with stopping.listening():
            while True:
                task = tasks.get()
                line.say(do(bench, task["do"], task["item"]))
    except stopping.Preempted:  # training has saved what it was at
        os._exit(stopping.CODE)


class Line:
    """The way to the parent, for both threads."""

    def __init__(self, to: IO[bytes]) -> None:
        self._to, self._lock, self._asked = to, threading.Lock(), 0
        self._waiting: dict[int, Future[Any]] = {}

    def say(self, text: str) -> None:
        """Write one line."""
        with self._lock:
            self._to.write(text.encode() + b"\n")
            self._to.flush()

    def ask(self, what: Mapping[str, Any]) -> Future[Any]:
        """Ask the desk; the answer comes while the task goes on."""
        waiting: Future[Any] = Future()
        with self._lock:
            self._asked += 1
            number = self._asked
            self._waiting[number] = waiting
        self.say(json.dumps({"ask": number, "what": what}))
        return waiting

    def told(self, number: int, answer: object) -> None:
        """Hand an answer to who asked; one who was cancelled meanwhile needs none."""
        waiting = self._waiting.pop(number)
        if waiting.set_running_or_notify_cancel():
            waiting.set_result(answer)


def _listen(source: IO[bytes], tasks: queue.SimpleQueue[Mapping[str, Any]], line: Line) -> None:
    for text in source:
        message = json.loads(text)
        if "told" in message:
            line.told(message["told"], message["answer"])
        else:
            tasks.put(message)
    os._exit(0)  # the parent is gone, or done: nobody waits for what is under way


if __name__ == "__main__":
    main(int(sys.argv[1]))
