"""A full disk, Ctrl-C and SIGTERM: one line on standard error, and the same command goes on.

Kill -9: recipes/test_interruption.py. More of SIGTERM: test_cli_preemption.py.
"""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path

import pytest
from safetensors import SafetensorError

from tests.calling import trueline
from tests.recipes import toys
from trueline.models.decoder import Decoder
from trueline.models.policy import Policy
from trueline.models.tokenizer import FastTokenizer
from trueline.store import runs


@pytest.fixture
def words(monkeypatch, tmp_path):
    """A fine-tuning run of under a second, in ./mine."""
    monkeypatch.chdir(tmp_path)
    start, data = f"start={toys.model(tmp_path)}", f"data={toys.conversations(tmp_path)}"
    return ("run", "sft", start, data, "batch=96", "held_out=0.2", "--threads", "1", "--out", "mine", "--quiet")


def full_at(name: str, monkeypatch) -> None:
    """Let the disk be full for files whose name begins so, as the kernel would say it."""
    real = Path.open

    def open_(self, *args, **kwargs):
        handle = real(self, *args, **kwargs)
        if self.name.lstrip(".").startswith(name) and handle.writable():
            handle.close()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return handle

    monkeypatch.setattr(Path, "open", open_)


def saving(kind: type, error: Exception):
    """Let a saver fail with what the library under it raises."""

    def save(*_, **__):
        raise error

    return lambda monkeypatch: monkeypatch.setattr(kind, "save_pretrained", save)


class DatabaseIsFullError(Exception):
    """As SQLAlchemy passes on what SQLite says: not an OSError."""


def full_database(monkeypatch) -> None:
    def save_run(*_):
        raise DatabaseIsFullError("(sqlite3.OperationalError) database or disk is full")

    monkeypatch.setattr("trueline.recipes.studio.save_run", save_run)


FULL = {
    "metrics": lambda m: full_at("metrics.jsonl", m),
    "checkpoint": lambda m: full_at("step-", m),
    "weights": saving(Decoder, SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")),
    "tokenizer": saving(FastTokenizer, Exception("No space left on device (os error 28)")),
    "result": lambda m: full_at("result.json", m),
    "report.json": lambda m: full_at("report.json", m),
    "report.html": lambda m: full_at("report.html", m),
    "database": full_database,
    "the very first file": lambda m: full_at("config.yaml", m),
}


@pytest.mark.parametrize("place", FULL)
def test_a_full_disk_is_one_line_and_a_run_that_goes_on(words, monkeypatch, place):
    """Whichever file does not fit: exit 1 and one line; with room again the same command finishes, with nothing twice."""
    with monkeypatch.context() as full:
        FULL[place](full)
        ended = trueline(*words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1), ended.err
    assert ended.err.startswith("error: mine")
    assert "disk full" in ended.err
    assert "free some space" in ended.err
    assert trueline(*words).code == 0
    assert_whole(Path("mine"))


INTERRUPTED = "interrupted; run the same command again and it goes on from its last checkpoint"
STOPPED = "stopped by SIGTERM: step 3 of 6 is saved in mine/stages/sft/checkpoint; run the same command again and it goes on"


@pytest.mark.parametrize(("number", "code", "said"), [(signal.SIGINT, 130, INTERRUPTED), (signal.SIGTERM, 143, STOPPED)])
def test_an_interrupt_says_how_to_go_on(words, monkeypatch, number, code, said):
    """Ctrl-C, or a job's end, amid training: its exit code and one sentence; the same command then finishes, nothing twice."""
    before = signal.getsignal(signal.SIGTERM)
    real = runs.RunDirectory.log

    def log(self, step, values, stage=""):
        real(self, step, values, stage)
        if step == 3:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as interrupted:
        interrupted.setattr(runs.RunDirectory, "log", log)
        ended = trueline(*words)
    assert (ended.code, ended.err.strip()) == (code, f"error: {said}")
    assert signal.getsignal(signal.SIGTERM) is before
    assert trueline(*words).code == 0
    assert_whole(Path("mine"))


def assert_whole(run: Path) -> None:
    """A finished run: report, model, no temporary files, and each step of training once in the metrics."""
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, len(steps) + 1))
    assert (run / "report.html").is_file()
    assert (run / "stages" / "sft" / "done.json").is_file()
    assert not list(run.rglob("*.tmp"))
    Policy.load(run / "stages" / "sft" / "model")
