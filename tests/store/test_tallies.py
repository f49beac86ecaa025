"""Tests of store/tallies.py: tallies equal a recount, whatever was saved, saved again and dropped, by whom ever."""

import pytest
import sqlalchemy as sa
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.crowding import OF, assert_tallied, attempt, run_named
from trueline.store import migrations
from trueline.store.database import drop_attempts, save_attempts, save_replies, save_run
from trueline.store.opening import open_database, writing
from trueline.store.tallies import tallied

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["attempts", "replies", "drop"]),
        st.sampled_from(["r1", "r2"]),  # the run
        st.integers(0, 1),  # the writer
        st.lists(st.integers(0, 30), max_size=6),
    ),
    max_size=10,
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_tallies_equal_a_recount(url, steps):
    """After any steps of two writers the tallies are those of the attempts that are there."""
    writers = [open_database(url) for _ in range(2)]
    for name in ("r1", "r2"):
        save_run(writers[0], run_named(name))
        drop_attempts(writers[0], name)
    for what, run, by, numbers in steps:
        made = [(attempt(number), OF) for number in numbers]
        if what == "attempts":
            save_attempts(writers[by], run, made)
        elif what == "replies":
            save_replies(writers[by], run, {}, made)
        else:
            drop_attempts(writers[by], run)
    assert_tallied(writers[0])
    for writer in writers:
        writer.dispose()


def test_tallies_are_told_by_any_axis(url):
    """Counts are apart for the axes that are named, summed over the others, and only of what is asked for."""
    engine = open_database(url)
    save_run(engine, run_named("r1"))
    made = [attempt(number) for number in range(600)]
    save_attempts(engine, "r1", ((one, OF) for one in made))
    (whole,) = tallied(engine)
    assert sum(whole.outcomes.counts.values()) == 600
    by_expected = {tally.of["expected"]: tally.outcomes for tally in tallied(engine, "expected")}
    assert sum(by_expected["comply"].counts.values()) == 150
    assert by_expected["refuse"].raw is not None
    cells = tallied(engine, "family", "category", expected="refuse", run="r1", target=None)
    assert [tuple(cell.of.values()) for cell in cells] == sorted(
        (f, c) for f in ("code", "role") for c in ("", "fraud", 'né "x"\ufffd')
    )
    assert (
        tallied(engine, "family", category=["", "fraud"], family="role")
        == tallied(engine, "family", category=("fraud", ""))[1:]
    )
    assert tallied(engine, "run", run="r2") == tallied(engine, "run", run=[]) == []
    with pytest.raises(ValueError, match=r"expected axes of tallies .*, got colour"):
        tallied(engine, colour="red")
    engine.dispose()


def test_a_save_that_fails_tallies_nothing(url):
    """An attempt that cannot be stored takes the whole save with it, and its tallies too."""
    engine = open_database(url)
    save_run(engine, run_named("r1"))

    def broken():
        yield attempt(1), OF
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        save_attempts(engine, "r1", broken())
    assert tallied(engine, "run") == []
    engine.dispose()


def test_attempts_of_older_versions_are_tallied(url):
    """The migration counts the attempts that are there, as if they had been stored today."""
    engine = open_database(url)
    for name in ("r1", "r2"):
        save_run(engine, run_named(name))
    save_attempts(engine, "r1", ((attempt(number), OF) for number in range(40)))
    save_attempts(engine, "r2", ((attempt(number), OF) for number in range(20)))
    with writing(engine) as connection:
        before = connection.execute(sa.text("SELECT * FROM tallies ORDER BY cell")).all()
        cells = connection.execute(sa.text("SELECT id, cell FROM attempts ORDER BY id")).all()
        command.downgrade(migrations.config(connection), "0005")
    with writing(engine) as connection:
        migrations.upgrade(connection)
        assert connection.execute(sa.text("SELECT * FROM tallies ORDER BY cell")).all() == before
        assert connection.execute(sa.text("SELECT id, cell FROM attempts ORDER BY id")).all() == cells
    assert_tallied(engine)
    engine.dispose()
