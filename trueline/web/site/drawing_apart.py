"""Drawing in a process of its own: the renderer holds the interpreter's lock for all of a drawing, and pages would wait for it.

    hand = Hand()
    hand(chart)              # the SVG; the process is started with the first, and again where it has ended

The process reads one chart a line from its standard input and answers with one line each; where that input ends, however the
server did, it ends too. It is started by `python -m trueline.web.site.drawing_apart`.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from threading import Lock
from typing import IO, Any

from trueline.core.records import json_line


class DrawingError(RuntimeError):
    """A chart that could not be drawn."""


class Hand:
    """The process that draws, asked by one at a time."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    def __call__(self, chart: Mapping[str, Any]) -> str:
        """Draw a chart to SVG. Raises DrawingError."""
        with self._lock:
            answer = self._answer(json_line(dict(chart)).encode() + b"\n")
        told = json.loads(answer)
        if "svg" not in told:
            raise DrawingError(told["error"])
        return str(told["svg"])

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._child is not None:
                self._end(self._child)

    def _answer(self, line: bytes) -> bytes:
        child = self._child if self._child is not None and self._child.poll() is None else self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(line)
            child.stdin.flush()
            answer = child.stdout.readline()
        except OSError:
            answer = b""
        if not answer.endswith(b"\n"):
            self._end(child)
            raise DrawingError("the process that draws has ended; the next chart starts another")
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", __name__]
        # A session of its own: Ctrl-C is for the server, whose end the process sees by its input.
        self._child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        atexit.register(self.close)
        return self._child

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        self._child = None
        atexit.unregister(self.close)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not written goes nowhere
                    continue
        child.kill()
        child.wait()


def serve(lines: IO[bytes], answers: IO[bytes]) -> None:
    """Draw each line's chart, and answer with its drawing or with what is wrong."""
    from trueline.web.site.drawing import draw

    for line in lines:
        try:
            told = {"svg": draw(json.loads(line))}
        except Exception as error:  # whatever it is, the next chart is drawn
            told = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(told).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints must not stand between the answers
    serve(sys.stdin.buffer, out)
