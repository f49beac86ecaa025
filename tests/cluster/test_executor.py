"""Local workers: results in order and once, workers that die, errors that name the item, one pace for all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.cluster import work
from trueline.cluster.executor import Local, TaskFailedError, WorkersLostError, in_order
from trueline.core.limits import Tally

WORK = work.__name__


def alive(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(process: int, seconds: float = 10.0) -> bool:
    """Whether a process ends, which takes a kernel a moment."""
    until = time.monotonic() + seconds
    while alive(process) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(process)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_results_come_in_order_and_once_whatever_the_number_of_workers(workers):
    """Every item has one result, in the order of the items."""
    with Local(workers=workers) as executor:
        assert list(executor.map(f"{WORK}:square", range(25))) == [{"of": n, "is": n * n} for n in range(25)]


def test_the_order_holds_where_the_first_takes_longest():
    """A slow item holds results back, not workers."""
    done = []
    with Local(workers=2) as executor:
        assert list(executor.map(f"{WORK}:uneven", range(8), progress=done.append)) == list(range(8))
    assert done == list(range(1, 9))


def test_items_are_taken_only_so_far_ahead():
    """What is not read yet bounds what is started."""
    taken, started = [], []

    def items():
        for n in range(100):
            taken.append(n)
            yield n

    def start(number: int, item: str) -> None:
        started.append((number, json.dumps({"done": number})))

    results = in_order(items(), 6, start, started.pop, lambda done: None)
    assert [next(results), next(results)] == [0, 1]
    assert len(taken) == 7


def test_workers_live_on_from_one_call_to_the_next():
    """A second call finds the processes of the first."""
    with Local(workers=2) as executor:
        first, second = (set(executor.map(f"{WORK}:pid", range(12))) for _ in range(2))
    assert len(first) == 2
    assert first == second


def test_a_worker_that_dies_has_its_task_done_again(tmp_path):
    """kill -9 in the middle of tasks loses none and doubles none."""
    items = [{"folder": str(tmp_path), "n": n} for n in range(13)]
    with Local(workers=2) as executor:
        assert list(executor.map(f"{WORK}:dies_once", items)) == list(range(13))
    assert sorted(int(mark.name) for mark in tmp_path.iterdir()) == [0, 4, 8, 12]


def test_half_a_result_is_none(tmp_path):
    """A worker that dies amid the line of its result has its task done again."""
    items = [{"folder": str(tmp_path), "n": n} for n in range(4)]
    with Local(workers=1) as executor:
        assert list(executor.map(f"{WORK}:dies_amid_its_word", items)) == list(range(4))


def test_threads_take_turns_as_before_once_it_is_closed():
    """While workers work they are answered sooner; what else this process does afterwards is left as it was."""
    before = sys.getswitchinterval()
    with Local(workers=1) as executor:
        assert list(executor.map(f"{WORK}:square", [7])) == [{"of": 7, "is": 49}]
        assert sys.getswitchinterval() <= before
    assert sys.getswitchinterval() == before


def test_a_worker_that_cannot_be_started_is_told_of(monkeypatch):
    """Nobody waits for it for ever; once the machine has room again, the next call goes on."""
    with Local(workers=1, retries=1) as executor:
        with monkeypatch.context() as patched:
            patched.setattr(subprocess, "Popen", lambda *_, **__: Path("/nothing/there").stat())
            with pytest.raises(WorkersLostError, match=r"item 0 \(7\): .* 2 times, last: no process can be started here"):
                list(executor.map(f"{WORK}:square", [7]))
        assert list(executor.map(f"{WORK}:square", [7])) == [{"of": 7, "is": 49}]


def test_a_worker_killed_from_outside_is_replaced():
    """Whoever kills a worker finds another in its place, and all results there."""
    with Local(workers=2) as executor:
        results = executor.map(f"{WORK}:pid", range(40))
        first = next(results)
        os.kill(first, signal.SIGKILL)
        rest = list(results)
    assert len(rest) == 39
    assert len({first, *rest}) == 3


def test_an_item_whose_worker_always_dies_is_named():
    """It is tried a bounded number of times; what came before it has been given."""
    with Local(workers=2, retries=2) as executor:
        results = executor.map(f"{WORK}:dies_at_three", range(10))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(WorkersLostError, match=r"item 3 \(3\): its worker died 3 times, last: signal 9"):
            next(results)
        assert list(executor.map(f"{WORK}:square", [7])) == [{"of": 7, "is": 49}]


def test_an_error_of_the_task_is_told_and_not_tried_again():
    """It names the item and the error, and says where it was raised."""
    with Local(workers=2) as executor:
        results = executor.map(f"{WORK}:fails_at_three", range(10))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(TaskFailedError, match=r"item 3 \(3\): KeyError: 'three is not to be had'") as told:
            next(results)
    assert "work.py" in told.value.trace


@pytest.mark.parametrize("name", ["json", "tests.cluster.work:nothing", "tests.nowhere:square", "tests.cluster.work:__doc__"])
def test_a_name_that_is_no_function_is_refused_before_work_starts(name):
    """The error says what was expected."""
    with Local(workers=1) as executor, pytest.raises(ValueError, match=r"expected package\.module:function"):
        next(executor.map(name, [1]))


def test_what_a_task_prints_is_no_result():
    """Standard output of a worker is not the line that results come on."""
    with Local(workers=1) as executor:
        assert list(executor.map(f"{WORK}:chats", [1, 2])) == [1, 2]


def test_a_worker_opens_a_thing_once_and_holds_one_at_a_time(tmp_path):
    """The same key finds it open; another closes it first."""
    with Local(workers=1) as executor:
        items = [{"folder": str(tmp_path), "key": key} for key in "aabba"]
        assert list(executor.map(f"{WORK}:opened", items)) == list("aabba")
    log = [line.rpartition(" ")[0] for line in (tmp_path / "log").read_text().splitlines()]
    assert log == ["open a", "close a", "open b", "close b", "open a"]


def test_one_pace_and_one_budget_for_all_workers():
    """Turns of several workers are as far apart as those of one, and what one spends is gone for all."""
    with Local(workers=4, tally=Tally(now=lambda: 0.0)) as executor:
        taken = [turn for turns in executor.map(f"{WORK}:turns", [3] * 6) for turn in turns]
    assert Counter(over for _, over in taken) == {"": 10, "requests": 8}
    assert sorted(wait for wait, over in taken if not over) == pytest.approx([0.01 * n for n in range(10)])


def test_workers_look_up_what_is_known():
    """What the driver knows is found by its key, and nothing else is."""
    with Local(workers=2) as executor:
        assert list(executor.map(f"{WORK}:looks_up", ["a", "b"], known={"a": "its answer"})) == ["its answer", None]


def test_who_stops_reading_stops_the_workers(tmp_path):
    """What is under way then is ended, and what waited is not begun."""
    items = [{"folder": str(tmp_path), "n": n, "seconds": 0 if n < 2 else 60} for n in range(40)]
    with Local(workers=2) as executor:
        results = executor.map(f"{WORK}:leaves_a_mark", items)
        assert [next(results), next(results)] == [0, 1]
        results.close()
        assert list(executor.map(f"{WORK}:square", [2])) == [{"of": 2, "is": 4}]
    assert len(list(tmp_path.iterdir())) <= 4


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    """kill -9 of the driver leaves no worker behind, also in the middle of a task."""
    program = (
        "from trueline.cluster.executor import Local\n"
        f"items = [{{'folder': {str(tmp_path)!r}, 'n': n, 'seconds': 60}} for n in range(2)]\n"
        f"list(Local(workers=2).map('{WORK}:leaves_a_mark', items))\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    until = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    workers = [int(mark.name.partition("-")[2]) for mark in tmp_path.iterdir()]
    assert len(workers) == 2
    driver.kill()
    driver.wait()
    assert all(gone(worker) for worker in workers)
