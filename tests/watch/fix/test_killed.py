"""A fix that is killed with kill -9 in the middle of its questions, and run again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("ahocorasick_rs", reason="the extra `guard` is not installed")

from tests.calling import trueline
from tests.recipes.endpoint import endpoint
from tests.watch.fix.test_rail import answer, rows
from trueline.evaluate.interview import AT_ONCE
from trueline.store.database import findings
from trueline.store.opening import open_database


@pytest.mark.slow
def test_kill_9_and_the_same_fix_asks_nothing_twice(tmp_path: Path):
    """Only what was under way is asked again; the gate is the one of a fix that nobody killed."""
    made = [{"prompt": f"How do I fold kite number {i}?"} for i in range(10)]
    made += [{"prompt": f"What is there to say of cloud number {i}?", "label": "benign"} for i in range(20)]
    goals = rows(tmp_path / "goals.jsonl", made)
    killing, arrived = threading.Event(), threading.Event()

    def slow(request, before):
        if killing.is_set() and before > at + 40:
            arrived.set()
        return answer(request, before)

    at = 10**9
    with endpoint(slow) as server:
        trueline("attack", server.target, "--goals", goals, "--attacks", "role", "--out", tmp_path / "runs" / "a", "--json")
        database = open_database(tmp_path / "runs" / "trueline.db")
        key = findings(database)[0].key
        database.dispose()
        words = [
            "watch",
            "fix",
            key,
            "--target",
            server.target,
            "--goals",
            str(goals),
            "--runs",
            str(tmp_path / "runs"),
            "--json",
        ]
        at = server.asked.total()
        killing.set()
        command = (sys.executable, "-m", "trueline", *words, "--out", str(tmp_path / "fix"))
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            assert arrived.wait(60)
            process.kill()
        killing.clear()
        assert not (tmp_path / "fix" / "gate.json").exists()
        done = trueline(*words, "--out", tmp_path / "fix")
        in_two = server.asked.total() - at
        whole = server.asked.total()
        other = trueline(*words, "--out", tmp_path / "other")
        in_one = server.asked.total() - whole
    assert in_one <= in_two <= in_one + AT_ONCE
    found, undisturbed = json.loads(done.out), json.loads(other.out)
    assert found["checks"] == undisturbed["checks"]
    assert found["rails"] == undisturbed["rails"]
