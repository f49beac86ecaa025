"""Ten processes on one database at once: nothing is lost, nothing is doubled, and nobody is told that it is locked."""

import multiprocessing
import traceback

import pytest

from tests.store.crowding import OF, assert_tallied, attempt, run_named
from trueline.store.database import attempts, drop_attempts, replies, save_attempts, save_replies, save_run
from trueline.store.opening import open_database
from trueline.store.tallies import tallied
from trueline.store.transcripts import transcripts

pytestmark = pytest.mark.slow

WRITERS, READERS, DROPPERS = 5, 3, 2  # droppers work on a run of their own
EACH, APART = 30, 6  # a writer's attempts, and how far from the next writer's they begin: most are made by several
ALL = EACH + APART * (WRITERS - 1)


def write(engine, number):
    """Save what neighbours save too, forwards and then backwards, a few at a time, each few with their answers."""
    made = [attempt(one) for one in range(number * APART, number * APART + EACH)]
    for order in (made, made[::-1]):
        for start in range(0, EACH, 5):
            some = order[start : start + 5]
            save_replies(engine, "r1", {one.goal.id: one.completion for one in some}, ((one, OF) for one in some))


def read(engine, number):
    """See the counts grow and never shrink, and every page whole."""
    seen = 0
    for _ in range(25):
        now = sum(sum(tally.outcomes.counts.values()) for tally in tallied(engine, "family", run="r1"))
        assert now >= seen, f"{seen} attempts were there, and then {now}"
        seen = now
        page = transcripts(engine, run="r1", limit=20)
        ids = [row.id for row in page.transcripts]
        assert ids == sorted(set(ids), reverse=True)
        assert len(ids) == min(20, page.total)


def drop(engine, number):
    """Save and drop, as campaigns do that begin anew; both droppers use one run."""
    for start in range(6):
        save_attempts(engine, "r2", ((attempt(one), OF) for one in range(start, start + 20)))
        drop_attempts(engine, "r2")
    save_attempts(engine, "r2", ((attempt(one), OF) for one in range(20)))


def alone(what, url, number, start, told):
    """Be one of the ten."""
    try:
        engine = open_database(url)
        start.wait(60)
        what(engine, number)
        engine.dispose()
    except BaseException:
        told.put(traceback.format_exc())
        raise


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="processes are forked here")
def test_ten_at_once(url):
    """What ten processes saved, saved again, dropped and read at once is there once, and counted."""
    engine = open_database(url)
    for name in ("r1", "r2"):
        save_run(engine, run_named(name))
    engine.dispose()
    context = multiprocessing.get_context("fork")
    roles = [write] * WRITERS + [read] * READERS + [drop] * DROPPERS
    start, told = context.Barrier(len(roles)), context.SimpleQueue()
    crowd = [context.Process(target=alone, args=(what, url, number, start, told)) for number, what in enumerate(roles)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(120)
    faults = []
    while not told.empty():
        faults.append(told.get())
    assert faults == []
    assert [one.exitcode for one in crowd] == [0] * len(roles)

    engine = open_database(url)
    found = attempts(engine, run="r1")
    assert sorted(int(one.goal.id[1:]) for one in found) == list(range(ALL))
    assert {one.goal.id for one in found} == set(replies(engine, "r1"))
    assert sorted(int(one.goal.id[1:]) for one in attempts(engine, run="r2"))[:20] == list(range(20))
    assert_tallied(engine)
    engine.dispose()
