"""`trueline serve` as a process of its own on a free port, which ends with the test whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Served:
    """A process that serves."""

    url: str
    target: str
    process: subprocess.Popen[str]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Tell it to end; its exit code and what it wrote to standard error."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=300)
        return self.process.returncode, err


@contextmanager
def served(target: str, *options: str, **environment: str) -> Iterator[Served]:
    """Serve a TARGET; it takes connections when this is entered."""
    words = [sys.executable, "-m", "trueline", "serve", target, "--port", "0", "--json", *options]
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**kept, **environment}
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            told = json.loads(line)
            yield Served(url=told["url"], target=told["target"], process=process)
        finally:
            process.kill()
