"""Tests of guard/audit/audit.py: every accepted request is on the record once, whatever dies, goes away or fills up."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from tests.guard.audit.deciding import BASIS, QUIET, Policy, exchange
from trueline.core.records import from_json
from trueline.guard.audit import ingest
from trueline.guard.audit.audit import Audit, Settings
from trueline.guard.audit.chain import verify
from trueline.guard.audit.digests import Secret
from trueline.guard.audit.journal import JournalError, segments
from trueline.guard.audit.record import Basis, Record, Usage
from trueline.guard.ruling import allow, block, broken, fold, shadowed
from trueline.store.audits import add_rows, audit_writers, rows_of, rows_with, text_of, tokens_since, unsettled
from trueline.store.opening import DatabaseError, open_database

CALM = Settings(apart=False, every=QUIET, drain=5)
# A process that forks a writer, which tells the ids that it was given; kills it once it has told so many; and begins again.
KILLER = """
import os, signal, sys
from tests.guard.audit.deciding import BASIS, exchange
from trueline.guard.audit import ingest
from trueline.guard.audit.audit import Audit, Settings
from trueline.guard.ruling import allow

def write(told):
    audit = Audit.open(sys.argv[1], sys.argv[2], Settings(apart=False, every=0.01))
    while True:
        id = audit.accept(exchange("x" * 2000), allow("a"), [allow("a")], BASIS)
        os.write(told, id.encode() + b"\\n")
        audit.settle(id, exchange("x", "y"), allow("a"), [allow("a")], BASIS)

for after in map(int, sys.argv[3:]):
    hears, told = os.pipe()
    child = os.fork()
    if not child:
        write(told)
    os.close(told)
    with open(hears) as lines:
        for _ in range(after):
            print(lines.readline(), end="")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(lines.read(), end="")
"""


def close(audit: Audit) -> None:
    asyncio.run(audit.close())


def bodies(database, id_: str) -> list[Record]:
    return [from_json(Record, row.body) for row in rows_with(database, id_)]


def whole(database, folder: Path) -> bool:
    return all(chain.state == "whole" for chain in verify(database, folder, Secret.open(folder)))


def test_an_exchange_has_a_row_for_each_decision(tmp_path):
    """What was decided on the request and on the reply is read back equal, under the one id, with all it stood on."""
    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", CALM)
    asked, policy = exchange("one plum"), Policy()
    said = exchange("one plum", "no")
    rails = [*policy.rails(asked, "input"), shadowed(block("watcher", "odd")), broken("late", "timeout", "50 ms", "open")]
    id_ = audit.accept(asked, fold(rails), rails, BASIS, key="k1", size=120)
    audit.settle(id_, said, allow("words"), policy.rails(said, "output"), BASIS, key="k1", size=60,
                 tokens=Usage(input=7, output=5), upstream=200, finish="stop")  # fmt: skip
    close(audit)
    database = open_database(tmp_path / "a.db")
    request, reply = bodies(database, id_)
    assert (request.kind, request.side, reply.kind, reply.side) == ("accepted", "input", "settled", "output")
    assert request.basis == reply.basis == BASIS
    assert (request.endpoint, request.model, request.stream, request.key, request.bytes) == ("chat", "m", False, "k1", 120)
    assert (request.ruling.action, request.ruling.by, request.ruling.why, request.ruling.edits) == (
        "redact",
        "words",
        "a word",
        1,
    )
    assert [(w.by, w.action, w.status, w.shadow) for w in request.rails] == [
        ("words", "redact", "ran", None), ("watcher", "flag", "ran", "block"), ("late", "flag", "timeout", None),
    ]  # fmt: skip
    assert set(request.clean) == {"length"}
    assert (request.pieces.pieces, request.pieces.places) == (1, {"user": 1})
    assert (reply.tokens, reply.upstream, reply.finish) == (Usage(input=7, output=5), 200, "stop")
    assert request.time <= reply.time
    assert request.time.endswith("+00:00")
    assert tokens_since(database, "2000") == {"k1": 12}
    assert tokens_since(database, "9000") == {}
    assert whole(database, tmp_path / "audit")


def test_no_text_is_recorded_unless_the_policy_retains_it(tmp_path):
    """By default neither the database nor the audit's folder holds a word of the text; with retention it stands apart."""
    secret_word = "heliotrope"
    for days in (0, 30):
        folder, file = tmp_path / f"audit{days}", tmp_path / f"{days}.db"
        audit = Audit.open(folder, file, CALM)
        basis = Basis(policy="p", keep_days=days)
        id_ = audit.accept(exchange(secret_word), allow("a"), [allow("a")], basis)
        audit.settle(id_, exchange(secret_word, secret_word), allow("a"), [allow("a")], basis)
        journal = b"".join(path.read_bytes() for path in segments(next(folder.glob("*/lock")).parent))
        close(audit)
        database = open_database(file)
        accepted, settled = rows_with(database, id_)
        kept = [text_of(database, row.writer, row.seq) for row in (accepted, settled)]
        assert [secret_word.encode() in (text or b"") for text in kept] == [days > 0] * 2
        assert (secret_word.encode() in journal) == (days > 0)
        assert secret_word not in accepted.body + settled.body
        database.dispose()
        assert not any(secret_word.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())
        assert (secret_word.encode() in file.read_bytes()) == (days > 0)


def test_ids_are_unique_and_sort_by_time(tmp_path):
    """The ids of one writer, sorted as text, are in the order in which they were given."""
    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", CALM)
    ids = [audit.accept(exchange(), allow("a"), [], BASIS) for _ in range(300)]
    close(audit)
    assert ids == sorted(set(ids))


def test_what_no_reply_came_to_is_settled_without_a_ruling(tmp_path):
    """An upstream that fails leaves a settled row that decided nothing and says what happened; it is not unsettled."""
    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", CALM)
    id_ = audit.accept(exchange(), allow("a"), [allow("a")], BASIS)
    audit.settle(id_, exchange(), None, [], BASIS, upstream=502, finish="upstream")
    close(audit)
    database = open_database(tmp_path / "a.db")
    reply = bodies(database, id_)[1]
    assert (reply.ruling, reply.upstream, reply.finish) == (None, 502, "upstream")
    assert unsettled(database) == []


def test_strange_texts_are_recorded(tmp_path):
    """Lone surrogates, line ends, tabs and NUL in any text break neither the journal nor a row."""
    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", CALM)
    odd = "\ud800 \n\t\r\0\u2028"
    strange = exchange(odd, odd)
    strange = type(strange)(**{**{n: getattr(strange, n) for n in strange.__slots__}, "model": odd})
    basis = Basis(policy="p", keep_days=1)
    id_ = audit.accept(strange, block("a", odd), [block("a", odd)], basis, key="k")
    audit.settle(id_, strange, allow("a"), [allow("a")], basis, finish=odd)
    close(audit)
    database = open_database(tmp_path / "a.db")
    assert [record.pieces.pieces for record in bodies(database, id_)] == [1, 1]
    assert whole(database, tmp_path / "audit")


def test_a_killed_process_loses_no_accepted_request(tmp_path):
    """Every id that a process had been given when it was killed is in the database after the next start, once."""
    folder, file = tmp_path / "audit", tmp_path / "a.db"
    words = [sys.executable, "-c", KILLER, folder, file, "1", "2", "40", "41", "300"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(words, capture_output=True, text=True, env=environment, check=True).stdout.split()
    assert len(told) >= 384
    audit = Audit.open(folder, file, CALM)
    close(audit)
    database = open_database(file)
    counts = {id_: [row.kind for row in rows_with(database, id_)] for id_ in told}
    assert set(map(tuple, counts.values())) <= {("accepted",), ("accepted", "settled")}
    lost = {row.id for row, gone in unsettled(database) if gone}
    assert {id_ for id_, kinds in counts.items() if kinds == ["accepted"]} <= lost
    assert len(audit_writers(database)) == 1
    assert whole(database, folder)
    assert audit.pending == 0


def test_a_torn_last_line_is_recorded_as_such(tmp_path):
    """Half a line that a killed process left becomes a row that says so; the rows before and after it are whole."""
    folder, file = tmp_path / "audit", tmp_path / "a.db"
    close(Audit.open(folder, file, CALM))
    (last,) = folder.glob("*/*.journal")
    last.write_bytes(b'{"bytes":12,"kind":"acc')
    audit = Audit.open(folder, file, CALM)
    id_ = audit.accept(exchange(), allow("a"), [], BASIS)
    close(audit)
    database = open_database(file)
    (writer,) = audit_writers(database)
    assert [row.kind for row in rows_of(database, writer)] == ["opened", "torn", "opened", "accepted"]
    assert "23 bytes" in list(rows_of(database, writer))[1].body
    assert rows_with(database, id_)
    assert whole(database, folder)


def test_a_database_that_is_away_is_waited_for(tmp_path):
    """While the database cannot be opened, rows wait and `trouble` says why; when it is back they are all there."""
    folder, file = tmp_path / "audit", tmp_path / "blocked" / "a.db"
    file.parent.write_text("a file where the folder should be")
    audit = Audit.open(folder, file, Settings(apart=False, every=QUIET, drain=0))
    ids = [audit.accept(exchange(), allow("a"), [], BASIS) for _ in range(50)]
    close(audit)
    assert audit.trouble
    assert audit.pending > 0
    file.parent.unlink()
    again = Audit.open(folder, file, CALM)
    close(again)
    database = open_database(file)
    assert (again.trouble, again.pending) == ("", 0)
    assert all(rows_with(database, id_) for id_ in ids)
    assert whole(database, folder)


def test_a_database_that_is_taken_away_while_open_loses_nothing(tmp_path):
    """Rows that were written to a file that had been removed are not counted as stored: they follow when it is back."""
    folder, file = tmp_path / "audit", tmp_path / "a.db"
    audit = Audit.open(folder, file, CALM)
    first = audit.accept(exchange(), allow("a"), [], BASIS)
    audit._feeder.round()
    for path in tmp_path.glob("a.db*"):
        path.rename(path.with_name("away-" + path.name))
    second = audit.accept(exchange(), allow("a"), [], BASIS)
    audit._feeder.round()
    assert "taken away" in audit.trouble
    assert audit.pending
    for path in tmp_path.glob("away-*"):
        path.rename(path.with_name(path.name.removeprefix("away-")))
    close(audit)
    database = open_database(file)
    assert rows_with(database, first)
    assert rows_with(database, second)
    assert whole(database, folder)


def test_what_was_moved_before_an_error_is_counted(tmp_path, monkeypatch):
    """Where a later batch fails, the bytes of the earlier ones are not pending any more: no error makes a journal look full."""
    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", CALM)
    for _ in range(300):
        audit.accept(exchange(), allow("a"), [], BASIS)
    before, calls = audit.pending, []

    def fail(database, rows, texts):
        calls.append(len(rows))
        if len(calls) == 3:
            raise OSError("gone")
        add_rows(database, rows, texts)

    with monkeypatch.context() as patched:
        patched.setattr(ingest, "add_rows", fail)
        audit._feeder.round()
    assert "gone" in audit.trouble
    assert 0 < audit.pending < before
    close(audit)
    assert audit.pending == 0
    assert len(list(rows_of(open_database(tmp_path / "a.db"), audit._writer.name))) == 301


def test_a_full_journal_refuses_requests_and_still_settles(tmp_path):
    """At its bound the journal takes no further request, but settles what it has taken; the database makes room."""
    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", Settings(apart=False, every=QUIET, most_bytes=3000))
    ids = []
    while not audit.full:
        ids.append(audit.accept(exchange(), allow("a"), [], BASIS))
    with pytest.raises(JournalError, match="the journal is full"):
        audit.accept(exchange(), allow("a"), [], BASIS)
    for id_ in ids:
        audit.settle(id_, exchange("a", "b"), allow("a"), [], BASIS)
    audit._feeder.round()
    assert not audit.full
    audit.accept(exchange(), allow("a"), [], BASIS)
    close(audit)
    assert len(unsettled(open_database(tmp_path / "a.db"))) == 1


def test_a_disk_that_takes_half_a_line_leaves_none(tmp_path, monkeypatch):
    """A short write is taken back and refused; the rows before and after it are whole."""
    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", CALM)
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda handle, data: write(handle, data[:20]))
        with pytest.raises(JournalError, match="the disk is full"):
            audit.accept(exchange(), allow("a"), [], BASIS)
        patched.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError(28, "no space")))
        before = audit._writer.journal.size
        with pytest.raises(JournalError, match="the disk is full"):
            audit.accept(exchange(), allow("a"), [], BASIS)
    assert audit.full
    os.truncate(audit._writer.journal.path, before)
    audit._writer.journal.broken = ""
    id_ = audit.accept(exchange(), allow("a"), [], BASIS)
    close(audit)
    database = open_database(tmp_path / "a.db")
    assert [row.kind for row in rows_with(database, id_)] == ["accepted"]
    assert [row.kind for row in rows_of(database, audit._writer.name)] == ["opened", "accepted"]


def test_texts_go_by_themselves_when_they_expire(tmp_path):
    """The thread that feeds the database deletes retained texts whose time is over, and no other."""
    for days in (-1, 1):
        audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", CALM)
        id_ = audit.accept(exchange(), allow("a"), [], Basis(policy="p", keep_days=days))
        close(audit)
        database = open_database(tmp_path / "a.db")
        (row,) = rows_with(database, id_)
        assert (text_of(database, row.writer, row.seq) is not None) == (days > 0)


def test_the_process_that_feeds_is_apart_and_is_started_again(tmp_path):
    """Rows are moved by another process; where that is killed, a new one moves the rest, and closing waits for it."""
    folder, file = tmp_path / "audit", tmp_path / "a.db"
    audit = Audit.open(folder, file, Settings(every=0.01))
    ids = [audit.accept(exchange(), allow("a"), [], BASIS) for _ in range(200)]
    until = time.monotonic() + 20
    while audit._child is None and time.monotonic() < until:
        time.sleep(0.01)
    first = audit._child
    first.kill()
    while audit._child is first and time.monotonic() < until:
        time.sleep(0.01)
    ids += [audit.accept(exchange(), allow("a"), [], BASIS) for _ in range(200)]
    close(audit)
    database = open_database(file)
    assert (audit.pending, audit.trouble) == (0, "")
    assert len({row.id for row in rows_of(database, audit._writer.name)} & set(ids)) == 400
    assert whole(database, folder)
    assert audit._child.poll() is not None


def test_what_feeds_ends_with_whom_it_feeds_for(tmp_path):
    """Once nobody holds the other end of its input, as after a kill, the process that feeds moves what is there and ends."""
    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", Settings(apart=False, every=QUIET, drain=0))
    id_ = audit.accept(exchange(), allow("a"), [], BASIS)
    words = [sys.executable, "-m", "trueline.guard.audit.feeder"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as feeder:
        feeder.stdin.write(orjson.dumps(replace(audit._feeding, every=0.01)) + b"\n")
        feeder.stdin.flush()
        writer, size, trouble = orjson.loads(feeder.stdout.readline())
        feeder.stdin.close()
        assert feeder.wait(20) == 0
    assert (writer, size, trouble) == (audit._writer.name, audit.pending, "")
    assert rows_with(open_database(tmp_path / "a.db"), id_)
    close(audit)


def test_two_writers_have_two_chains(tmp_path):
    """Two audits in one folder at once write apart, wait for nobody, and both chains are whole."""
    folder, file = tmp_path / "audit", tmp_path / "a.db"
    audits = [Audit.open(folder, file, CALM) for _ in range(2)]
    ids = [audit.accept(exchange(), allow("a"), [], BASIS) for _ in range(20) for audit in audits]
    for audit in audits:
        audit._feeder.round()
    for audit in audits:
        close(audit)
    database = open_database(file)
    assert len(audit_writers(database)) == 2
    assert all(len(rows_with(database, id_)) == 1 for id_ in ids)
    assert whole(database, folder)


def test_what_several_killed_writers_left_is_taken_up_by_one(tmp_path):
    """The next process moves the rows of every writer that nobody holds, and leaves those that are held alone."""
    folder, file = tmp_path / "audit", tmp_path / "blocked" / "a.db"
    file.parent.write_text("")
    two = [Audit.open(folder, file, Settings(apart=False, every=QUIET, drain=0)) for _ in range(2)]
    ids = [audit.accept(exchange(), allow("a"), [], BASIS) for audit in two]
    for audit in two:
        close(audit)
    file.parent.unlink()
    close(Audit.open(folder, file, CALM))
    database = open_database(file)
    assert {row.id for row, lost in unsettled(database) if lost} == set(ids)
    assert len(audit_writers(database)) == 2
    assert whole(database, folder)


def test_rows_that_are_no_repetition_are_not_dropped(tmp_path):
    """Rows with numbers that the database has for others (a copied folder) are kept in the journal, and `trouble` says why."""
    folder, file = tmp_path / "audit", tmp_path / "a.db"
    close(Audit.open(folder, file, CALM))
    shutil.copytree(folder, tmp_path / "copy")
    close(Audit.open(folder, file, CALM))
    copied = Audit.open(tmp_path / "copy", file, Settings(apart=False, every=QUIET, drain=0))
    copied.accept(exchange(), allow("a"), [], BASIS)
    copied._feeder.round()
    assert "was the audit's folder copied" in copied.trouble
    assert copied.pending
    close(copied)


def test_a_writer_without_its_journal_is_not_gone_on_with(tmp_path):
    """Where the journal's files were removed, a new chain begins: numbers are not given twice, and nothing is dropped."""
    folder, file = tmp_path / "audit", tmp_path / "a.db"
    close(Audit.open(folder, file, CALM))
    for path in folder.glob("*/*.journal"):
        path.unlink()
    audit = Audit.open(folder, file, CALM)
    id_ = audit.accept(exchange(), allow("a"), [], BASIS)
    close(audit)
    database = open_database(file)
    assert len(audit_writers(database)) == 2
    assert rows_with(database, id_)
    assert whole(database, folder)


def test_segments_go_when_their_rows_are_stored(tmp_path):
    """A journal is cut into segments; those whose rows are in the database are removed, the last one by closing."""
    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", CALM)
    audit._writer.journal._segment_bytes = 2000
    for _ in range(30):
        audit.accept(exchange(), allow("a"), [], BASIS)
    held = segments(audit._writer.journal.folder)
    assert len(held) > 5
    audit._feeder.round()
    assert len(segments(audit._writer.journal.folder)) == 1
    close(audit)
    assert [path.stat().st_size for path in segments(audit._writer.journal.folder)] == [0]
    assert len(list(rows_of(open_database(tmp_path / "a.db"), audit._writer.name))) == 31


def test_the_key_and_the_journal_are_for_their_owner_alone(tmp_path):
    """Nobody else can read the key, the journal, or their folder; a key that others can read is refused."""
    folder = tmp_path / "audit"
    close(Audit.open(folder, tmp_path / "a.db", CALM))
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in [folder / "key", *folder.glob("*/*.journal")])
    (folder / "key").chmod(0o640)
    with pytest.raises(ValueError, match="only its owner can read"):
        Audit.open(folder, tmp_path / "a.db", CALM)


def test_what_can_be_no_database_is_refused_at_once(tmp_path):
    """An address that is none is an error of the caller, and is not waited for."""
    with pytest.raises(DatabaseError, match="expected an SQLite or a PostgreSQL database"):
        Audit.open(tmp_path / "audit", "mysql://me@host/x")
    with pytest.raises(ValueError, match="every"):
        Settings(every=0)


def test_two_writers_on_postgresql(tmp_path, postgres_url):
    """With PostgreSQL two audits write at once, and both chains are whole."""
    audits = [Audit.open(tmp_path / "audit", postgres_url, Settings(apart=False, every=0.01)) for _ in range(2)]
    ids = [audit.accept(exchange("a\0b"), allow("a"), [], BASIS) for _ in range(500) for audit in audits]
    for audit in audits:
        close(audit)
    database = open_database(postgres_url)
    assert [audit.trouble for audit in audits] == ["", ""]
    assert all(len(rows_with(database, id_)) == 1 for id_ in ids)
    assert whole(database, tmp_path / "audit")
    database.dispose()


def test_a_long_torn_line_is_recorded_too(tmp_path):
    """A torn line that is longer than a batch is told of in the batch behind it."""
    folder, file = tmp_path / "audit", tmp_path / "a.db"
    close(Audit.open(folder, file, CALM))
    (last,) = folder.glob("*/*.journal")
    last.write_bytes(b"{" * 200_000)
    close(Audit.open(folder, file, CALM))
    database = open_database(file)
    assert [row.kind for row in rows_of(database, *audit_writers(database))] == ["opened", "torn", "opened"]
    assert whole(database, folder)
