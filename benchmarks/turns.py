"""One side of a benchmark that takes turns: it works for some steps when told to, says what it did, and waits.

Both sides stay alive and warm, so that a round costs its steps alone, and what the machine does meanwhile hits both alike.
The driver writes a line to standard input for each turn; each turn is answered by one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time


class Turns:
    """Called after every step; returns when the next may be made, and ends the process when there are no more turns."""

    def __init__(self, warm: int, steps: int, began: float) -> None:
        self.left, self.steps = warm, steps
        self.start = self.last = None
        self.useful = 0.0
        self.began = began  # when the process was, by time.perf_counter()
        self.ready = 0.0  # seconds that starting took, before the first step

    def step(self, useful: float) -> None:
        """A step is done; `useful` is what all steps so far came to."""
        self.left -= 1
        if self.left:
            return
        if self.start is None:
            self._say({"ready": self.ready})
        else:
            seconds = time.perf_counter() - self.start
            self._say({"useful": useful - self.useful, "seconds": seconds})
        if not sys.stdin.readline():
            sys.stdout.flush()
            os._exit(0)
        self.left, self.useful, self.start = self.steps, useful, time.perf_counter()

    def started(self) -> None:
        """What comes now is steps."""
        self.ready = time.perf_counter() - self.began

    @staticmethod
    def _say(what: dict[str, float]) -> None:
        print("TURN " + json.dumps(what), flush=True)
