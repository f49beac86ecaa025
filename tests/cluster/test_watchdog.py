"""No rank waits for ever, who is waited for is told, and ranks that are in time or idle are left alone.

pytest tests/cluster/test_watchdog.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from torch import distributed as dist

from tests.cluster import ranks
from trueline.cluster.watchdog import CODE, Watchdog


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Every scene of `ranks.py`, played once with real processes: exit codes, and what each rank wrote to standard error."""
    folder = tmp_path_factory.mktemp("scenes")
    words = [sys.executable, "-m", "tests.cluster.ranks", str(folder)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    played = map(json.loads, done.stdout.splitlines())
    return folder, {scene["scene"]: (scene["codes"], scene["said"]) for scene in played}


def stacks(scenes, name):
    """The stacks that were written in a scene, by rank."""
    files = (scenes[0] / name).glob("stacks/*")
    return {int(file.stem.removeprefix("stacks-rank")): file.read_text() for file in files}


def told(said):
    """The one report among what ranks wrote, as lines."""
    (text,) = [text for text in said if "  arrived: " in text]
    lines = text.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.endswith("are allowed")) :]


@pytest.mark.slow
def test_a_rank_that_never_arrives_is_named_with_where_it_is_instead(scenes):
    """After three barriers in a row one rank stays away: one report says so, and all end with the documented code."""
    codes, said = scenes[1]["one_is_missing"]
    assert codes == [CODE] * 3 == [200] * 3
    lines = told(said)
    assert 'at "gradients of step 4"; 1 s are allowed' in lines[0]
    assert lines[1] == "  arrived: ranks 0, 1"
    assert lines[2].startswith('  rank 2 has not arrived: it had left "gradients of step 3", its barrier 3, ')
    assert "and is in lost_in_thought (ranks.py:" in lines[2]


@pytest.mark.slow
def test_every_rank_writes_its_stacks(scenes):
    """Each has a file with the barrier's name at the top and the function that its main thread is in, and says it in short."""
    found = stacks(scenes, "one_is_missing")
    assert found.keys() == {0, 1, 2}
    for rank, text in found.items():
        head = text.splitlines()[:2]
        assert head[0].startswith(f"rank {rank} of 3, process ")
        assert head[1] == 'asked at the barrier "gradients of step 4"'
        where = "lost_in_thought" if rank == 2 else "all_reduce"
        assert f"in {where}\n" in text
        assert f"watchdog: rank {rank} is in {where} (" in scenes[1]["one_is_missing"][1][rank]


@pytest.mark.slow
def test_ranks_in_time_and_idle_ranks_are_left_alone(scenes):
    """Late by less than the time, or idle for longer than the time: every rank ends well, and nothing is written."""
    assert scenes[1]["all_in_time"] == ([0] * 3, [""] * 3)
    assert not stacks(scenes, "all_in_time")


@pytest.mark.slow
def test_a_rank_that_was_killed_has_not_been_heard_of(scenes):
    """Kill -9 leaves no word: the report says for how long, and where the rank was then."""
    codes, said = scenes[1]["one_is_killed"]
    assert codes == [CODE, -9]
    line = told(said)[2]
    assert line.startswith("  rank 1 has not been heard of for ")
    assert 'it was at "its last", its barrier 1, for ' in line
    assert stacks(scenes, "one_is_killed").keys() == {0}


@pytest.mark.slow
def test_a_rank_that_has_ended_is_not_waited_for(scenes):
    """Who closed its watchdog and left is told as that."""
    codes, said = scenes[1]["one_has_ended"]
    assert codes == [CODE, 0]
    assert told(said)[2].startswith("  rank 1 has ended its work, ")


@pytest.mark.slow
def test_ranks_at_two_barriers_are_told_apart_and_names_hide_nothing(scenes):
    """Each waits for the other; a name with control characters is printed in escapes, on the screen and in the files."""
    codes, said = scenes[1]["at_another_barrier"]
    assert codes == [CODE] * 2
    lines = told(said)
    assert lines[1] in ("  arrived: rank 0", "  arrived: rank 1")
    assert " has not arrived: it was at " in lines[2]
    for text in [*said, *stacks(scenes, "at_another_barrier").values()]:
        assert text.isascii()
        assert text.replace("\n", "").isprintable()
    assert any(json.dumps(ranks.HOSTILE) in text for text in said)


@pytest.mark.slow
def test_a_store_that_does_not_answer_holds_nobody(scenes):
    """The process that keeps the store is stopped, not dead: the rank says what it knows by itself, and ends."""
    codes, (said,) = scenes[1]["the_store_is_silent"]
    assert codes == [CODE]
    assert 'at "gradients of step 1", and the store does not answer' in said
    assert "lost_in_thought" in stacks(scenes, "the_store_is_silent")[0]


@pytest.mark.slow
@pytest.mark.parametrize("scene", ["the_first_is_gone", "nobody_is_there"])
def test_an_idle_rank_does_not_wait_for_one_that_nobody_hears_of(scenes, scene):
    """Rank 0 is gone without a closed connection, its store with it or not: who waits for its next word says so, and ends."""
    codes, said = scenes[1][scene]
    assert codes == [-9, CODE]
    assert "rank 1 has heard nothing of rank 0 for " in said[1]
    assert "1 s are allowed" in said[1]
    assert "lost_in_thought" in stacks(scenes, scene)[1]


@pytest.fixture
def place():
    """A watchdog that never barks, and how to read what it says of its rank."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    dog = Watchdog(store, 0, 1, timeout=3600)

    def read():
        now = dog._place()
        return now.state, now.name, now.count

    yield dog, read
    dog.close()


def test_a_barrier_within_a_barrier_counts_alone(place):
    """The outer one has its time anew when the inner one is done; errors leave a barrier like anything else."""
    dog, read = place
    seen = [read()]
    with dog.at("outer"):
        began = dog._now.since
        with dog.at("inner"):
            seen.append(read())
        seen.append(read())
        assert dog._now.since > began
    seen.append(read())
    with pytest.raises(ZeroDivisionError), dog.at("divided"):
        1 / 0  # noqa: B018  (an error of the work)
    seen.append(read())
    assert seen == [("began", "", 0), ("at", "inner", 2), ("at", "outer", 2), ("after", "outer", 2), ("after", "divided", 3)]


def test_an_idle_rank_may_be_told_to_go_to_barriers(place):
    """What an idle rank is told to do is watched; then it is idle again, and at last where it was."""
    dog, read = place
    with dog.at("first"):
        pass
    with dog.idle():
        seen = [read()]
        with dog.at("told to"):
            seen.append(read())
        seen.append(read())
    assert [*seen, read()] == [("idle", "first", 1), ("at", "told to", 2), ("idle", "first", 2), ("after", "first", 2)]


def test_a_client_that_waits_in_the_store_does_not_silence_the_watchdog():
    """The rank's own client waits for a key; the word of where it is comes all the same, by another client."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    other = dist.TCPStore("127.0.0.1", store.port, is_master=False)
    dog = Watchdog(store, 0, 1, timeout=0.4)  # a word every tenth of a second

    def wait():
        with dog.idle():
            store.wait(["never"], timedelta(seconds=2))

    waiting = threading.Thread(target=pytest.raises, args=(dist.DistStoreError, wait))
    waiting.start()
    key, deadline = "trueline/watchdog/0/beat/0", time.monotonic() + 1.5
    while not (other.check([key]) and json.loads(other.get(key))["state"] == "idle"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    waiting.join()
    dog.close()
    assert json.loads(other.get(key))["state"] == "ended"


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_a_timeout_is_above_zero(timeout):
    """What would end every rank at once, or never, is refused."""
    with pytest.raises(ValueError, match="timeout: expected seconds above 0"):
        Watchdog(dist.HashStore(), 0, 1, timeout)
