"""Tests of store/database.py: nothing is stored twice, nothing is lost, and the tables are what the migrations make."""

import os
import sqlite3
import threading

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError

from trueline.core.types import Attempt, Completion, Conversation, Finding, Judgement, Prompt, Run
from trueline.store import migrations, tables
from trueline.store.database import (
    Hashes,
    attempts,
    drop_attempts,
    findings,
    list_runs,
    load_run,
    replies,
    save_attempts,
    save_finding,
    save_replies,
    save_run,
    save_stage,
    stages,
)
from trueline.store.opening import DatabaseError, open_database, writing

POSTGRES = os.environ.get("TRUELINE_TEST_POSTGRES", "")
RUN = Run(id="r1", recipe="dpo", spec={"beta": 0.1, "deep": [1, None]}, seed=2**40, started="2025-01-01T00:00:00Z")


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.skipif(not POSTGRES, reason="TRUELINE_TEST_POSTGRES is not set")),
    ]
)
def url(request, tmp_path):
    """Give the URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'deep' / 'a.db'}"
    else:
        yield POSTGRES
        engine = open_database(POSTGRES)
        with writing(engine) as connection:
            command.downgrade(migrations.config(connection), "base")
        engine.dispose()


def attempt(goal: str = "g1", query: int = 1, score: float | None = 0.0, text: str = "né\0\u2028") -> Attempt:
    talk = Conversation().say("user", "how?")
    prompt = Prompt(conversation=talk, expected="refuse", id=goal)
    completion = Completion(prompt=prompt, text=text, ids=(1,), logprobs=(float("-inf"),))
    judgement = Judgement(
        judge="rules", score=score, stance="none" if score is None else "refuse" if score >= 0.5 else "comply"
    )
    return Attempt(goal=prompt, attack="ask", conversation=talk, completion=completion, judgement=judgement, query=query)


def of(target: str, records):
    return ((record, Hashes(target=target, attack="a", judge="j")) for record in records)


def test_the_newest_migration_makes_the_tables(url):
    """After opening, Alembic finds no difference between the database and tables.py, and the revision is the newest."""
    with writing(open_database(url)) as connection:
        scripts = ScriptDirectory.from_config(migrations.config(connection))
        assert migrations.current(connection) == scripts.get_current_head()
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_up_down_and_up_again(url):
    """Every migration can be taken back, down to an empty database, and be applied again."""
    engine = open_database(url)
    with writing(engine) as connection:
        command.downgrade(migrations.config(connection), "base")
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    with writing(engine) as connection:
        migrations.upgrade(connection)
        assert set(tables.metadata.tables) <= set(inspect(connection).get_table_names())


def test_a_run_is_stored_once_and_found_after_reopening(url):
    """Saving a run twice stores it once; a new connection finds it equal; another run of that id is refused."""
    engine = open_database(url)
    save_run(engine, RUN)
    save_run(engine, RUN)
    earlier = Run(id="r0", recipe="sft", started="2024-01-01T00:00:00Z")
    save_run(engine, earlier)
    engine.dispose()
    again = open_database(url)
    assert load_run(again, "r1") == RUN
    assert list_runs(again) == [earlier, RUN]
    assert list_runs(again, recipe="dpo") == [RUN]
    with pytest.raises(DatabaseError, match="stored already with another seed; give this run its own id"):
        save_run(again, Run(id="r1", recipe="dpo", spec=RUN.spec, seed=4, started=RUN.started))
    with pytest.raises(DatabaseError, match=r"no run 'r11' among the 2 stored; did you mean 'r1'"):
        load_run(again, "r11")
    again.dispose()


def test_a_stage_is_replaced_by_its_later_word(url):
    """A stage is one row: saved again, it has the newer key, state and metrics."""
    engine = open_database(url)
    save_run(engine, RUN)
    save_stage(engine, "r1", "world/sft", "k1", "partial")
    save_stage(engine, "r1", "world/sft", "k2", metrics={"loss": 0.5})
    (row,) = stages(engine, "r1")
    assert (row.run, row.name, row.key, row.state, row.metrics) == ("r1", "world/sft", "k2", "done", {"loss": 0.5})
    engine.dispose()


def test_an_attempt_is_stored_exactly_once(url):
    """Attempts saved again, beside new ones, add only the new ones, and come back equal and in order."""
    engine = open_database(url)
    save_run(engine, RUN)
    first = [attempt(query=1), attempt(query=2, score=1.0)]
    assert save_attempts(engine, "r1", of("t1", first)) == 2
    more = [*first, attempt(query=3, score=None), attempt(query=3, score=None)]
    assert save_attempts(engine, "r1", of("t1", more)) == 1
    assert save_attempts(engine, "r1", of("t2", iter(first))) == 2
    assert save_attempts(engine, "r1", of("t1", [])) == 0
    assert attempts(engine, target="t1") == more[:3]
    engine.dispose()


def test_attempts_are_found_by_every_column(url):
    """Conditions narrow the list; none given lists all."""
    engine = open_database(url)
    save_run(engine, RUN)
    held, broke, abstained = attempt("g1", 1, 1.0), attempt("g1", 2, 0.2), attempt("g2", 1, None)
    save_attempts(engine, "r1", of("t", [held, broke, abstained]))
    assert attempts(engine) == [held, broke, abstained]
    assert attempts(engine, run="r1", attack="ask", judge="rules", goal="g1") == [held, broke]
    assert attempts(engine, outcome="success") == [broke]
    assert attempts(engine, outcome="undetermined") == [abstained]
    assert attempts(engine, goal="none") == []
    engine.dispose()


def test_goals_without_an_id_are_told_apart_by_what_they_ask(tmp_path):
    """Two goals that carry no id are two goals if their prompts differ, and one if they do not."""
    engine = open_database(tmp_path / "a.db")
    save_run(engine, RUN)
    one = attempt("")
    other = Attempt(
        goal=Prompt(conversation=Conversation().say("user", "else?")),
        attack=one.attack,
        conversation=one.conversation,
        completion=one.completion,
        judgement=one.judgement,
    )
    assert save_attempts(engine, "r1", of("t", [one, other, one])) == 2


def test_many_attempts_go_in_at_once(tmp_path):
    """More attempts than one statement holds are all stored."""
    engine = open_database(tmp_path / "a.db")
    save_run(engine, RUN)
    assert save_attempts(engine, "r1", of("t", (attempt(query=query) for query in range(1101)))) == 1101
    assert [found.query for found in attempts(engine)] == list(range(1101))


def test_a_finding_keeps_its_key_and_changes_its_status(url):
    """A finding saved again is the same row with the newer status."""
    engine = open_database(url)
    save_run(engine, RUN)
    save_finding(engine, "r1", Finding(key="k", attempts=(attempt(),)))
    fixed = Finding(key="k", attempts=(attempt(),), status="fixed", severity="low")
    save_finding(engine, "r1", fixed)
    assert findings(engine) == [fixed]
    assert findings(engine, status="open") == []
    engine.dispose()


def test_nothing_hangs_in_the_air(url):
    """What belongs to a run that is not stored is refused, in words."""
    engine = open_database(url)
    for save in (
        lambda: save_stage(engine, "r9", "sft", "k"),
        lambda: save_attempts(engine, "r9", of("t", [attempt()])),
        lambda: save_finding(engine, "r9", Finding(key="k", attempts=())),
    ):
        with pytest.raises(DatabaseError, match="no run 'r9' is stored; call save_run first"):
            save()
    engine.dispose()


def test_two_processes_may_open_and_write_at_once(url):
    """Eight writers that open one new database together all get through, and each row is there once."""
    failed = []

    def write(number: int) -> None:
        try:
            engine = open_database(url)
            save_run(engine, RUN)
            save_attempts(engine, "r1", of("t", [attempt(query=query) for query in range(number, number + 5)]))
            engine.dispose()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    engine = open_database(url)
    assert sorted(found.query for found in attempts(engine)) == list(range(12))
    engine.dispose()


def test_sqlite_keeps_a_log_and_its_foreign_keys(tmp_path):
    """An SQLite database is in WAL mode and refuses a row whose run is not there."""
    engine = open_database(tmp_path / "a.db")
    with engine.connect() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")]
    assert pragmas == ["wal", 1]
    row = {"run": "none", "name": "sft", "key": "k", "state": "done", "metrics": {}, "saved": ""}
    with writing(engine) as connection, pytest.raises(IntegrityError, match="FOREIGN KEY"):
        connection.execute(tables.stages.insert(), row)


def test_the_url_comes_from_the_argument_the_environment_or_the_default(tmp_path, monkeypatch):
    """An argument wins over TRUELINE_DATABASE, which wins over runs/trueline.db."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUELINE_DATABASE", "")
    open_database()
    monkeypatch.setenv("TRUELINE_DATABASE", "sqlite:///env.db")
    open_database()
    open_database("given.db")
    assert sorted(path.name for path in tmp_path.rglob("*.db")) == ["env.db", "given.db", "trueline.db"]


def test_a_password_is_never_shown():
    """No error about a database carries the password of its URL."""
    for url in ("postgresql://me:s3cret@127.0.0.1:1/none", "mysql://me:s3cret@host/x", "postgresql://me:s3cret@host:port/x"):
        with pytest.raises(DatabaseError) as caught:
            open_database(url)
        assert "s3cret" not in str(caught.value)
        assert "s3cret" not in repr(caught.value.__cause__)


def test_a_newer_or_a_foreign_database_is_refused(tmp_path):
    """A revision that this version does not know, and a file that is no database, are named in one line."""
    open_database(tmp_path / "a.db").dispose()
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(DatabaseError, match=r"revision '9999', which this version of trueline does not know"):
        open_database(tmp_path / "a.db")
    (tmp_path / "text.db").write_text("a text that is long enough to be no database at all" * 20)
    with pytest.raises(DatabaseError, match=r"text\.db: cannot open this database: file is not a database"):
        open_database(tmp_path / "text.db")


def test_what_was_answered_is_remembered_once(url):
    """The first answer to a question stays; each run remembers its own."""
    engine = open_database(url)
    save_run(engine, RUN)
    first, other = attempt(text="one").completion, attempt(text="two").completion
    save_replies(engine, "r1", {"q1": first})
    save_replies(engine, "r1", {"q1": other, "q2": other})
    assert replies(engine, "r1") == {"q1": first, "q2": other}
    assert replies(engine, "r2") == {}
    engine.dispose()


def test_attempts_are_dropped_and_replies_stay(url):
    """A campaign makes its attempts again from its replies."""
    engine = open_database(url)
    save_run(engine, RUN)
    save_attempts(engine, "r1", of("t", [attempt()]))
    save_replies(engine, "r1", {"q": attempt().completion})
    drop_attempts(engine, "r1")
    assert attempts(engine) == []
    assert list(replies(engine, "r1")) == ["q"]
    engine.dispose()


def test_older_attempts_get_the_four_outcomes(tmp_path):
    """Attempts that were stored as held, broke and abstained are failure, success and undetermined after the migration."""
    engine = open_database(tmp_path / "a.db")
    with writing(engine) as connection:
        command.downgrade(migrations.config(connection), "0001")
        connection.exec_driver_sql("INSERT INTO runs VALUES ('r1', 'attack', 0, '', '2025', '{}')")
        for query, word in enumerate(("held", "broke", "abstained")):
            connection.exec_driver_sql(
                "INSERT INTO attempts (run, goal, attack, target, judge, query, outcome, created, record) "
                f"VALUES ('r1', 'g', 'a', 't', 'j', {query}, '{word}', '2025', '{{}}')"
            )
    engine.dispose()
    with open_database(tmp_path / "a.db").connect() as connection:
        rows = connection.exec_driver_sql("SELECT outcome, family, goal_hash FROM attempts ORDER BY query").all()
    assert [row[0] for row in rows] == ["failure", "success", "undetermined"]
    assert {tuple(row[1:]) for row in rows} == {("", "")}
