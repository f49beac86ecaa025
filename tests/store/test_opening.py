"""Tests of store/opening.py: a database is found, brought up to date, kept safe, or refused in words."""

import sqlite3

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError

from trueline.store import account_tables, migrations, ranking_tables, tables, tally_tables, watch_tables  # noqa: F401 - for the metadata
from trueline.store.opening import DatabaseError, open_database, writing


def test_the_newest_migration_makes_the_tables(bare_url):
    """After opening, Alembic finds no difference between the database and tables.py, and the revision is the newest."""
    with writing(open_database(bare_url)) as connection:
        scripts = ScriptDirectory.from_config(migrations.config(connection))
        assert migrations.current(connection) == scripts.get_current_head()
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_up_down_and_up_again(bare_url):
    """Every migration can be taken back, down to an empty database, and be applied again."""
    engine = open_database(bare_url)
    with writing(engine) as connection:
        command.downgrade(migrations.config(connection), "base")
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    with writing(engine) as connection:
        migrations.upgrade(connection)
        assert set(tables.metadata.tables) <= set(inspect(connection).get_table_names())


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
