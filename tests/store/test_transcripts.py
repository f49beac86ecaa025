"""Tests of store/transcripts.py: the pages of a question, one after the other, are its answer."""

import pytest

from tests.store.crowding import OF, attempt, run_named
from trueline.core.outcome import reached
from trueline.store import transcripts as room
from trueline.store.database import Hashes, save_attempts, save_run
from trueline.store.opening import open_database
from trueline.store.transcripts import transcript, transcripts

MANY = 120


@pytest.fixture
def engine(url):
    """Two runs, whose attempts lie between each other's."""
    engine = open_database(url)
    for name in ("r1", "r2"):
        save_run(engine, run_named(name))
    for start in range(0, MANY, 15):
        save_attempts(engine, f"r{1 + start // 15 % 2}", ((attempt(number), OF) for number in range(start, start + 15)))
    yield engine
    engine.dispose()


def pages(engine, limit=9, **wanted):
    """Every transcript of a question, page by page."""
    found, before = [], None
    while True:
        page = transcripts(engine, before=before, limit=limit, **wanted)
        found += page.transcripts
        assert page.total >= len(page.transcripts)
        if page.older is None:
            assert page.total == len(found)
            return found
        assert len(page.transcripts) == limit
        before = page.older


@pytest.mark.parametrize("most", [150, -1])
def test_pages_are_the_whole_answer(engine, monkeypatch, most):
    """For every choice of conditions, the pages hold what a reading of everything finds, newest first, each once."""
    monkeypatch.setattr(room, "_MOST", most)
    monkeypatch.setattr(room, "_WINDOW", 16)
    everything = pages(engine, limit=MANY)
    assert [row.attempt for row in everything] == [attempt(number) for number in reversed(range(MANY))]
    facts = {
        "run": lambda row: row.run,
        "judge": lambda row: row.attempt.judgement.judge,
        "family": lambda row: row.attempt.family,
        "category": lambda row: row.attempt.goal.category.replace("\0", "\ufffd"),
        "expected": lambda row: row.attempt.goal.expected,
        "outcome": lambda row: reached(row.attempt),
    }
    for wanted in (
        {},
        {"run": "r2"},
        {"outcome": "error"},
        {"family": "code", "outcome": "success"},
        {"run": "r1", "category": 'né "x"\ufffd', "expected": "refuse"},
        {"run": "r1", "family": "role", "category": "fraud", "outcome": "failure"},
        {"judge": "other", "target": "t"},
    ):
        fit = [row for row in everything if all(facts[name](row) == value for name, value in wanted.items() if name in facts)]
        assert fit
        assert pages(engine, **wanted) == fit


def test_nothing_fits(engine):
    """A question that nothing fits has one empty page, and so has the page behind the last."""
    for wanted in ({"run": "none"}, {"family": "code", "before": 0}):
        page = transcripts(engine, **wanted)
        assert (page.transcripts, page.older) == ((), None)
    for limit in (0, 1000):
        with pytest.raises(ValueError, match="a page of 1 to 250"):
            transcripts(engine, limit=limit)


def test_pages_hold_still_while_attempts_come(engine):
    """What is stored meanwhile is newer than the page that is read, and moves nothing."""
    first = transcripts(engine, run="r1", limit=5)
    second = transcripts(engine, run="r1", limit=5, before=first.older)
    save_attempts(engine, "r1", ((attempt(number), Hashes(target="new")) for number in range(3)))
    assert transcripts(engine, run="r1", limit=5, before=first.older).transcripts == second.transcripts
    assert [row.target for row in transcripts(engine, run="r1", limit=4).transcripts] == ["new", "new", "new", "t"]


def test_one_is_found_by_its_id(engine):
    """A transcript is read by its id; there is none for an id that nobody has."""
    (row,) = transcripts(engine, limit=1).transcripts
    assert transcript(engine, row.id) == row
    assert transcript(engine, 10**9) is None
