"""Tests of the daemon: each round goes to one, what was cut off goes on, and nothing is asked twice or stored twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from tests.recipes.endpoint import endpoint, weak
from tests.watch.watching import NOW, added, clock, run_due, watched
from trueline.recipes.progress import Quiet
from trueline.store.database import attempts, findings, list_runs, replies
from trueline.store.opening import open_database
from trueline.store.watches import add_watch, claim, rounds, set_state, stamp, watch_named, watches
from trueline.targets.patience import Clock
from trueline.watch.budget import Halt
from trueline.watch.daemon import a_holder, keep_watch
from trueline.watch.lease import Held

pytestmark = pytest.mark.slow

HOUR = 3600.0
AT_ONCE = 8


def slowly(seconds: float):
    """The usual answers, each after so long."""

    def answer(request, before):
        time.sleep(seconds)
        return weak(request, before)

    return answer


def daemon(url: str, *words: str) -> subprocess.Popen[str]:
    """`trueline watch run` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "trueline", "watch", "run", "--quiet", *words],
        env={**os.environ, "TRUELINE_DATABASE": url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def until(asked: Counter[str], count: int) -> None:
    """Wait until a target has been asked so often."""
    deadline = time.monotonic() + 60
    while asked.total() < count:
        assert time.monotonic() < deadline, f"only {asked.total()} questions came"
        time.sleep(0.005)


def what_came(database, run: str) -> Counter:
    """The attempts of a run, by what tells them apart and what they came to."""
    return Counter(
        (a.goal.id, a.attack, a.query, str(a.conversation), a.completion.text, a.judgement.score)
        for a in attempts(database, run=run)
    )


def uninterrupted(tmp_path, row):
    """What a watch's first round comes to where nothing cuts it off, and how many questions it takes."""
    elsewhere = open_database(tmp_path / "elsewhere.db")
    add_watch(elsewhere, row)
    (whole,) = run_due(elsewhere)
    came = what_came(elsewhere, whole.run)
    elsewhere.dispose()
    return whole, came


def test_two_daemons_share_what_is_due_and_each_round_happens_once(url, database, goals):
    """Two processes on one database, ten watches due: every watch has round 1 once, and no question is put twice."""
    with endpoint(slowly(0.002)) as there:
        for number in range(10):
            added(database, there.target, goals, name=f"n{number}", budget="questions=12", sentinels=4, attacks="role")
        both = [daemon(url, "--once", "--json") for _ in range(2)]
        told = [json.loads(one.communicate(timeout=120)[0])["rounds"] for one in both]
        asked = there.asked.total()
    assert [one.returncode for one in both] == [0, 0]
    assert sorted(row["watch"] for rows in told for row in rows) == sorted(f"id-n{number}" for number in range(10))
    kept = [rounds(database, row.id) for row in watches(database)]
    assert [[(row.number, row.state) for row in rows] for rows in kept] == [[(1, "done")]] * 10
    assert asked == sum(row.result["spent"]["questions"] for rows in kept for row in rows)
    assert all(row.holder is None for row in watches(database))


def test_a_daemon_killed_in_a_campaign_is_taken_over_and_nothing_is_lost_or_doubled(url, database, goals, tmp_path):
    """kill -9 among the pulls: the same round under the same run, every attempt once, as if nothing had happened.

    The target is asked at most those questions twice that were under way.
    """
    with endpoint(slowly(0.02)) as there:
        row = added(database, there.target, goals)
        killed = daemon(url)
        until(there.asked, 25)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        time.sleep(0.1)  # what was on its way to the target arrives
        stored = watch_named(database, "w")
        assert stored.holder is not None
        before = there.asked.total()
        assert before < 40
        assert run_due(database, 1, holder="early") == []  # the lease has not run out
        (done,) = asyncio.run(
            keep_watch(database, holder="b", halt=Halt(), show=Quiet(), clock=Clock(today=lambda: time.time() + 600), once=True)
        )
        asked = there.asked.total()
        known = len(replies(database, done.run))
        whole, came = uninterrupted(tmp_path, row)
    assert (done.number, done.state, done.holder) == (1, "done", "b")
    assert [run.id for run in list_runs(database)] == [done.run] == [whole.run]
    assert what_came(database, done.run) == came
    assert max(came.values()) == 1
    assert known <= asked <= known + AT_ONCE
    assert done.result["cells"] == whole.result["cells"]
    assert done.result["found"] == whole.result["found"]
    assert {one.key for one in findings(database)} == set(done.result["found"]["new"])
    assert watch_named(database, "w").next == 2


def test_a_signal_ends_it_in_good_order_and_the_round_goes_on_at_once(url, database, goals, tmp_path):
    """SIGTERM among the sentinels: what is under way is answered and stored, the lease given back, and nothing is put twice."""
    with endpoint(slowly(0.02)) as there:
        row = added(database, there.target, goals)
        stopped = daemon(url)
        until(there.asked, 5)
        stopped.send_signal(signal.SIGTERM)
        stopped.communicate(timeout=60)
        assert stopped.returncode == 0
        assert watch_named(database, "w").holder is None
        (done,) = run_due(database, 600, holder="b")
        asked = there.asked.total()
        _, came = uninterrupted(tmp_path, row)
    assert (done.number, done.state) == (1, "done")
    assert what_came(database, done.run) == came
    assert asked == len(replies(database, done.run))


def test_whoever_loses_the_lease_stops_and_writes_nothing(database, goals):
    """Taken by another in the middle: no round is ended twice, and the first daemon goes on to other work."""
    lost = threading.Event()

    def answer(request, before):
        if before == 10:
            taken = claim(database, NOW.replace(hour=20), "thief", 9e9)
            assert taken is not None
            lost.set()
        return weak(request, before)

    with endpoint(answer) as there:
        added(database, there.target, goals)
        assert run_due(database, 1, holder="first", lease=100) == []
        assert lost.is_set()
    row = watch_named(database, "w")
    assert (row.holder, row.next) == ("thief", 1)
    (kept,) = rounds(database, row.id)
    assert (kept.state, kept.ended) == ("running", None)
    assert "state" not in kept.result


def test_a_lease_that_is_lost_halts_the_round(database, goals):
    """The keeper renews until another has the watch, then says so once; a database that is away is borne for a while."""
    add_watch(database, watched("openai:m", goals))
    assert claim(database, NOW, "a", 30)
    said, waits = [], iter([False] * 5)

    def wait(event: threading.Event, seconds: float) -> bool:
        assert seconds == 10
        if len(said) == 0 and next(waits):
            return True
        taken.append(claim(database, NOW.replace(hour=13), "b", 30)) if len(taken) < 1 else taken.append(None)
        return False

    taken: list[object] = []
    held = Held(database, "id-w", "a", clock(), 30, said.append, wait)
    held._keep()
    assert said == ["another daemon holds this watch by now"]
    assert taken[0] is not None

    def broken() -> float:
        raise OSError("no database")

    times = iter(range(0, 100, 10))
    away = Held(
        database, "id-w", "a", Clock(now=lambda: next(times), today=broken), 30, said.append, lambda event, seconds: False
    )
    away._keep()
    assert said[1] == "the lease could not be renewed: no database"


def test_a_daemon_sleeps_until_something_is_due_and_ends_when_halted(database, goals):
    """Rounds come as scheduled on a clock that only sleeping moves, one after the other, and a halt ends the waiting."""
    time_now, halt = [NOW.timestamp()], Halt()

    async def sleep(seconds: float) -> None:
        time_now[0] += seconds

    moving = Clock(now=lambda: time_now[0], today=lambda: time_now[0], sleep=sleep)
    with endpoint(weak) as there:
        added(database, there.target, goals, budget="questions=10", sentinels=4, attacks="role")
        ended = []

        def tell(watch, row):
            ended.append(row)
            if len(ended) == 3:
                halt.stop("enough")

        done = asyncio.run(keep_watch(database, holder="a", halt=halt, show=Quiet(), clock=moving, ended=tell))
    assert [row.number for row in done] == [1, 2, 3]
    starts = [row.started for row in done]
    assert starts[0] == stamp(NOW)
    assert [text[11:13] for text in starts] == ["12", "13", "14"]


def test_a_database_that_is_away_ends_no_daemon(database, goals, monkeypatch):
    """What cannot be claimed or ended now is tried again later; a command for CI says so at once instead."""
    from trueline.watch import daemon as daemons

    time_now, halt, tries, said = [NOW.timestamp()], Halt(), [], []

    async def sleep(seconds: float) -> None:
        time_now[0] += seconds

    def away(*args: object, **more: object) -> object:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("the server is gone")
        return claim(*args, **more)

    monkeypatch.setattr(daemons, "claim", away)
    show = Quiet()
    show.say = lambda name, text: said.append(text)
    moving = Clock(now=lambda: time_now[0], today=lambda: time_now[0], sleep=sleep)
    with endpoint(weak) as there:
        added(database, there.target, goals, budget="questions=10", sentinels=4, attacks="role")
        work = keep_watch(
            database, holder="a", halt=halt, show=show, clock=moving, ended=lambda watch, row: halt.stop("enough")
        )
        (row,) = asyncio.run(work)
        tries.clear()
        with pytest.raises(OSError, match="gone"):
            run_due(database)
    assert (row.number, row.state) == (1, "done")
    assert said == ["goes on in 30 s: OSError: the server is gone"] * 2


def test_a_killed_step_after_the_last_question_is_done_again(database, goals, monkeypatch):
    """Killed between the last question and the round's end: another asks nothing, and what follows a round follows it."""
    from trueline.watch import round as rounds_of

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with endpoint(weak) as there:
        added(database, there.target, goals)
        with monkeypatch.context() as patch:
            patch.setattr(rounds_of, "after_round", killed)
            with pytest.raises(KeyboardInterrupt):
                run_due(database, holder="a")
        asked = there.asked.total()
        assert findings(database) == []
        (done,) = run_due(database, 600, holder="b")
        assert there.asked.total() == asked
    assert (done.number, done.holder, done.state) == (1, "b", "done")
    assert {one.key for one in findings(database)} == set(done.result["found"]["new"])


def test_paused_and_removed_watches_have_no_rounds(database, goals):
    """Neither is claimed; resumed, it goes on where it was."""
    with endpoint(weak) as there:
        added(database, there.target, goals, budget="questions=10", sentinels=4, attacks="role")
        set_state(database, "w", "paused")
        assert run_due(database) == []
        set_state(database, "w", "active")
        assert [row.number for row in run_due(database)] == [1]
        set_state(database, "w", "removed")
        assert run_due(database, HOUR) == []


def test_every_holder_has_a_name_of_its_own():
    """Two daemons are told apart, wherever they run."""
    assert a_holder() != a_holder()
