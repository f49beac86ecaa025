"""Ray does what local processes do: order, exactly once, lost workers and machines, one pace for all. Skipped without Ray."""

from __future__ import annotations

import socket
from collections import Counter

import pytest

from tests.cluster import work
from tests.cluster.raylets import needs_ray, raylets
from trueline.cluster.executor import Local, TaskFailedError, WorkersLostError
from trueline.cluster.opening import executor_for

pytestmark = [needs_ray, pytest.mark.slow]

WORK = work.__name__


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def cluster():
    """Three machines of one processor, on this one."""
    with raylets(3, port=free_port()) as made:
        yield made


@pytest.fixture
def executor(cluster):
    with executor_for(workers=0, cluster=cluster.address) as made:
        yield made


def test_a_cluster_has_a_worker_for_each_processor(executor):
    """Nobody has to count them."""
    assert executor.workers == 3


def test_results_are_those_of_local_processes(executor):
    """In order, each once, whoever computes them."""
    with Local(workers=1) as local:
        assert list(executor.map(f"{WORK}:square", range(25))) == list(local.map(f"{WORK}:square", range(25)))


def test_workers_look_up_what_is_known_and_share_a_pace_and_a_budget(executor):
    """The desk of a cluster is one for all its machines."""
    assert list(executor.map(f"{WORK}:looks_up", ["a", "b"], known={"a": "its answer"})) == ["its answer", None]
    taken = [turn for turns in executor.map(f"{WORK}:turns", [3] * 6) for turn in turns]
    assert Counter(over for _, over in taken) == {"": 10, "requests": 8}


def test_an_error_of_the_task_is_told_and_not_tried_again(executor):
    """It names the item, as that of a local worker does."""
    results = executor.map(f"{WORK}:fails_at_three", range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(TaskFailedError, match=r"item 3 \(3\): KeyError: 'three is not to be had'"):
        next(results)


@pytest.mark.parametrize("address", ["nonsense", "ray://HEAD", "HEAD:door"])
def test_what_is_no_address_is_refused(address):
    """The error says what one looks like."""
    with pytest.raises(ValueError, match="expected auto, HOST:PORT or ray://HOST:PORT"):
        executor_for(workers=0, cluster=address)


def test_no_cluster_at_an_address_is_said_at_once():
    """Ray itself would wait for minutes."""
    with (
        pytest.raises(ValueError, match="expected a Ray cluster, none answered"),
        executor_for(workers=0, cluster=f"127.0.0.1:{free_port()}"),
    ):
        pass


def test_a_worker_that_dies_has_its_task_done_again(executor, tmp_path):
    """kill -9 in the middle of tasks loses none; an item that always kills is named after a bounded number of times."""
    items = [{"folder": str(tmp_path), "n": n} for n in range(13)]
    assert list(executor.map(f"{WORK}:dies_once", items)) == list(range(13))
    results = executor.map(f"{WORK}:dies_at_three", range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(WorkersLostError, match=r"item 3 \(3\): its worker was lost"):
        next(results)


def test_a_machine_that_is_lost_has_its_work_done_by_others(cluster, executor, tmp_path):
    """A power cut in the middle: all results are there, once and in order."""
    items = [{"folder": str(tmp_path), "n": n, "seconds": 0.05} for n in range(90)]
    results = executor.map(f"{WORK}:leaves_a_mark", items)
    first = [next(results) for _ in range(20)]
    cluster.kill(0)
    assert [*first, *results] == list(range(90))


def test_a_driver_may_stand_outside_of_the_cluster(cluster):
    """ray://HOST:PORT gives the same results."""
    with executor_for(workers=2, cluster=cluster.client) as executor:
        assert list(executor.map(f"{WORK}:square", range(7))) == [{"of": n, "is": n * n} for n in range(7)]
        assert list(executor.map(f"{WORK}:looks_up", ["a"], known={"a": "its answer"})) == ["its answer"]
