"""`trueline attack --workers N`: the same campaign, whoever carries it out, and whoever is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.cluster.test_executor import gone
from tests.recipes.endpoint import QUICK, attacked, body, endpoint, weak
from trueline.recipes import spread
from trueline.recipes.elsewhere import shared_out
from trueline.store.database import attempts, replies
from trueline.store.opening import open_database
from trueline.targets.http import Asking
from trueline.targets.patience import Pace


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Chunks of two goals under three attacks: seven of them."""
    monkeypatch.setattr(spread, "PAIRS", 6)


def stored(tmp_path):
    """What is in the database of a campaign, in its order."""
    return attempts(open_database(tmp_path / "runs" / "trueline.db"))


def figures(done):
    """A campaign's report without where, when and how it was made."""
    return {k: v for k, v in json.loads(done.out).items() if k not in ("folder", "run", "seconds", "asked", "about")}


def of_target(made, name="TARGET"):
    """Attempts whatever the port of the endpoint was, in an order of their own."""
    return sorted(str(attempt).replace(attempt.completion.model, name) for attempt in made)


def workers_of(driver: int) -> list[int]:
    """The worker processes of a driver."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == driver and b"trueline.cluster.worker" in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue  # it ended meanwhile
    return found


@pytest.mark.slow
def test_a_campaign_is_the_same_whatever_the_number_of_workers(goals, tmp_path):
    """Attempts, their order and the report are those of one worker, and their content that of none."""
    with endpoint(weak) as server:
        alone = attacked(server.target, goals, tmp_path / "0")
        asked = server.asked.copy()
        found = {n: attacked(server.target, goals, tmp_path / str(n), "--workers", n) for n in (1, 2, 4)}
    first = stored(tmp_path / "1")
    assert len(first) == 36
    assert sorted(first, key=str) == sorted(stored(tmp_path / "0"), key=str)
    assert first == stored(tmp_path / "2") == stored(tmp_path / "4")
    assert all(figures(done) == figures(alone) for done in found.values())
    assert server.asked == {question: 4 * times for question, times in asked.items()}


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_no_attempt_and_doubles_none(goals, tmp_path):
    """kill -9 of workers in the middle: all is there once, in the same order."""
    killed = []

    def deadly(request, before):
        if before in (10, 25):
            killed.append(workers_of(os.getpid())[0])
            os.kill(killed[-1], signal.SIGKILL)
        return weak(request, before)

    with endpoint(weak) as server:
        attacked(server.target, goals, tmp_path / "whole", "--workers", 2)
    with endpoint(deadly) as server:
        done = attacked(server.target, goals, tmp_path / "killed", "--workers", 2)
    assert done.code == 0
    assert len(killed) == 2
    assert [(a.attack, a.goal.id, a.query) for a in stored(tmp_path / "killed")] == [
        (a.attack, a.goal.id, a.query) for a in stored(tmp_path / "whole")
    ]
    assert of_target(stored(tmp_path / "killed")) == of_target(stored(tmp_path / "whole"))


@pytest.mark.slow
def test_a_driver_that_is_killed_goes_on_behind_the_last_chunk(goals, tmp_path):
    """kill -9 of the driver: what was stored is not asked again, and in the end all is there once, in order."""
    arrived = threading.Event()

    def slow(request, before):
        if before == 20:
            arrived.set()
        if before >= 20:
            threading.Event().wait(0.05)
        return weak(request, before)

    program = (
        "import sys; from trueline.cli import main; from trueline.recipes import spread\nspread.PAIRS = 6\nmain(sys.argv[1:])"
    )
    with endpoint(slow) as server:
        words = ["attack", server.target, "--goals", str(goals), "--attacks", "role,rot13", "--json", *QUICK, "--workers", "2"]
        words += ["--out", str(tmp_path / "cut" / "runs" / "a")]
        driver = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.DEVNULL)
        assert arrived.wait(60)
        driver.kill()
        driver.wait()
        kept = len(replies(open_database(tmp_path / "cut" / "runs" / "trueline.db"), _run(tmp_path / "cut")))
        before = server.asked.total()
        done = attacked(server.target, goals, tmp_path / "cut", "--workers", 2)
        again = server.asked.total() - before
        attacked(server.target, goals, tmp_path / "whole", "--workers", 2)
    assert done.code == 0
    assert 0 < kept < 36
    assert again == 36 - kept
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_who_interrupts_waits_for_no_worker(goals, tmp_path, sign):
    """Ctrl-C and SIGTERM end driver and workers while a target keeps them waiting, with the word on how to go on."""
    arrived, never = threading.Event(), threading.Event()

    def silent(request, before):
        if before > 6:
            arrived.set()
            never.wait(120)
        return weak(request, before)

    with endpoint(silent) as server:
        words = [sys.executable, "-m", "trueline", "attack", server.target, "--goals", str(goals), "--attacks", "role,rot13"]
        words += ["--json", "--out", str(tmp_path / "runs" / "a"), "--workers", "2"]
        driver = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            assert arrived.wait(60)
            workers = workers_of(driver.pid)
            driver.send_signal(sign)
            told = driver.communicate(timeout=60)[1].decode()
        finally:
            driver.kill()
            never.set()
    code, word = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "SIGTERM")}[sign]
    assert driver.returncode == code
    assert word in told
    assert "the same command" in told
    assert workers
    assert all(gone(worker) for worker in workers)


@pytest.mark.parametrize(("first", "second"), [((), ("--workers", 2)), (("--workers", 2), ())])
def test_whoever_began_it_another_may_go_on(goals, tmp_path, first, second):
    """A campaign of this process is finished by workers, and one of workers by this process; none asks anything again."""
    back = threading.Event()

    def leaving(request, before):
        return weak(request, before) if before < 17 or back.is_set() else body({}, 401)

    with endpoint(leaving) as server:
        attacked(server.target, goals, tmp_path, *first)
        kept = len(replies(open_database(tmp_path / "runs" / "trueline.db"), _run(tmp_path)))
        assert 0 < kept <= 17
        back.set()
        before = server.asked.total()
        done = attacked(server.target, goals, tmp_path, *second)
        assert (done.code, server.asked.total() - before) == (0, 36 - kept)
        whole = attacked(server.target, goals, tmp_path / "whole")
    assert figures(done) == figures(whole)
    assert sorted(stored(tmp_path), key=str) == sorted(stored(tmp_path / "whole"), key=str)


def test_a_target_that_is_gone_stops_all_workers(goals, tmp_path):
    """A key that is withdrawn ends the campaign with its words; the answers until then are kept, and it goes on from there."""
    gone = threading.Event()

    def leaving(request, before):
        return body({"error": {"message": "no such key"}}, 401) if before >= 18 and not gone.is_set() else weak(request, before)

    with endpoint(leaving) as server:
        done = attacked(server.target, goals, tmp_path, "--workers", 2)
        assert done.code == 1
        assert "the key was not accepted" in done.err
        kept = len(replies(open_database(tmp_path / "runs" / "trueline.db"), _run(tmp_path)))
        assert 0 < kept <= 18
        assert server.asked.total() < 36
        gone.set()
        before = server.asked.total()
        again = attacked(server.target, goals, tmp_path, "--workers", 2)
        assert again.code == 0
        assert server.asked.total() - before == 36 - kept
        assert len(stored(tmp_path)) == 36


def test_a_failure_of_one_question_is_asked_again_by_the_same_command(goals, tmp_path):
    """An error among answers stops nothing, and what was answered is not asked again."""
    bad = threading.Event()

    def sometimes(request, before):
        odd = "number 7" in str(request) and not bad.is_set()
        return body({"error": {"message": "too long"}}, 400) if odd else weak(request, before)

    with endpoint(sometimes) as server:
        first = attacked(server.target, goals, tmp_path, "--workers", 2)
        assert (first.code, json.loads(first.out)["outcomes"]["error"]) == (0, 2)
        bad.set()
        before = server.asked.total()
        second = attacked(server.target, goals, tmp_path, "--workers", 2)
        assert json.loads(second.out)["outcomes"]["error"] == 0
        assert server.asked.total() - before == 2
        assert len(stored(tmp_path)) == 36


def test_a_budget_holds_for_all_workers_together(goals, tmp_path):
    """So many requests and no more, whoever makes them; what was answered for them is kept."""
    with endpoint(weak) as server:
        done = attacked(server.target, goals, tmp_path, "--workers", 2, "--ask", "budget.requests=20")
        assert server.asked.total() == 20
    assert done.code == 1
    assert "the budget is spent" in done.err
    assert len(replies(open_database(tmp_path / "runs" / "trueline.db"), _run(tmp_path))) == 20


def test_a_machine_with_another_target_is_told_apart(goals, tmp_path, monkeypatch):
    """What workers find under a name must be what the driver hashed; the error names the chunk and says what to do."""
    monkeypatch.setattr(spread, "target_hash", lambda *_: "another")
    with endpoint(weak) as server:
        done = attacked(server.target, goals, tmp_path, "--workers", 1)
        assert (done.code, server.asked.total()) == (1, 0)
    assert "goals g0 to g0" in done.err
    assert "another than the driver's: give both the same files and version" in done.err


def test_questions_under_way_are_shared_out():
    """Each worker has its part of `pace.at_once`; more workers than questions are refused, with what to do."""
    asking = Asking(pace=Pace(at_once=8))
    assert shared_out(asking, 3).pace.at_once == 2
    with pytest.raises(ValueError, match=r"--ask pace\.at_once=9"):
        shared_out(asking, 9)


def test_what_workers_cannot_have_is_said_at_once(goals, tmp_path):
    """More workers than may ask at a time end with one line and code 2, before anything is asked."""
    with endpoint(weak) as server:
        done = attacked(server.target, goals, tmp_path, "--workers", 16)
        assert (done.code, server.asked.total()) == (2, 0)
    assert "--ask pace.at_once=16" in done.err


def _run(tmp_path) -> str:
    return json.loads((tmp_path / "runs" / "a" / "run.json").read_text())["id"]
