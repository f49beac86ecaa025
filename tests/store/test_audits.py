"""Tests of store/audits.py: rows of the audit are added once, in order, and read back as they were."""

from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from trueline.store.audits import (
    AuditRow,
    AuditText,
    add_rows,
    audit_writers,
    last_row,
    purge_texts,
    recent_bodies,
    rows_of,
    rows_with,
    text_of,
    tokens_since,
    traffic_since,
    unsettled,
)
from trueline.store.opening import open_database


def row(seq: int, id_: str = "", kind: str = "accepted", writer: str = "w", tokens: int | None = None) -> AuditRow:
    return AuditRow(
        writer=writer, seq=seq, id=id_, kind=kind, time=f"2030-01-0{seq % 9 + 1}", endpoint="chat", action="allow", key="k",
        tokens=tokens, body='{"é":"\\u0000"}', hash=f"{seq:064x}",
    )  # fmt: skip


def test_rows_come_back_in_order_and_equal(url):
    """Rows of each writer are read in order, over more than one slice, from any of them on."""
    database = open_database(url)
    rows = [row(seq) for seq in range(1, 2101)]
    add_rows(database, rows[1000:])
    add_rows(database, [*rows[:1000], row(1, writer="v")])
    assert list(rows_of(database, "w")) == rows
    assert list(rows_of(database, "w", after=2098)) == rows[2098:]
    assert (last_row(database, "w"), last_row(database, "none")) == (rows[-1], None)
    assert audit_writers(database) == ["v", "w"]
    database.dispose()


def test_a_batch_is_added_whole_or_not_at_all(url):
    """A row that is there already refuses the whole batch, its texts included."""
    database = open_database(url)
    add_rows(database, [row(1)])
    with pytest.raises(IntegrityError):
        add_rows(database, [row(2), row(1)], [AuditText(writer="w", seq=2, expires="2030", content=b"x")])
    with pytest.raises(IntegrityError):
        add_rows(database, [row(2)], [AuditText(writer="w", seq=2, expires="2030", content=b"x")] * 2)
    assert list(rows_of(database, "w")) == [row(1)]
    assert text_of(database, "w", 2) is None
    database.dispose()


def test_texts_go_when_they_expire(url):
    """Purging takes what expires before the time, keeps the rest, and leaves the rows."""
    database = open_database(url)
    texts = [AuditText(writer="w", seq=seq, expires=f"203{seq}-01-01T00:00:00+00:00", content=b"\0\xff") for seq in (1, 2)]
    add_rows(database, [row(1), row(2)], texts)
    assert purge_texts(database, "2032-01-01T00:00:00+00:00") == 1
    assert (text_of(database, "w", 1), text_of(database, "w", 2)) == (None, b"\0\xff")
    assert len(list(rows_of(database, "w"))) == 2
    database.dispose()


def test_what_was_never_settled_is_told_with_whether_its_process_ended(url):
    """Accepted rows without a settled one are listed; those before a later opening of their writer are lost."""
    database = open_database(url)
    add_rows(database, [row(1, kind="opened"), row(2, "a"), row(3, "b"), row(4, "b", "settled"), row(5, kind="opened"),
                        row(6, "c"), row(7, "d", writer="v"), row(8, kind="opened", writer="u")])  # fmt: skip
    assert [(found.id, lost) for found, lost in unsettled(database)] == [("a", True), ("c", False), ("d", False)]
    assert [found.seq for found in rows_with(database, "b")] == [3, 4]
    database.dispose()


def test_tokens_are_summed_by_key_and_time(url):
    """The tokens of a key count from the time on, over all writers."""
    database = open_database(url)
    add_rows(database, [row(1, tokens=10), row(2, tokens=5), row(3), row(2, tokens=2**40, writer="v")])
    assert tokens_since(database, "2030-01-03") == {"k": 2**40 + 5}
    assert tokens_since(database, "2031") == {}
    database.dispose()


def test_traffic_is_counted_by_hour_kind_and_action(url):
    """The counts are those of the decisions since a time, and of no other row; the last bodies come first."""
    engine = open_database(url)
    given = [
        ("10:10", "accepted", "allow"), ("10:50", "accepted", "allow"), ("10:55", "accepted", "block"),
        ("11:05", "accepted", "allow"), ("11:06", "opened", ""), ("09:00", "accepted", "block"),
    ]  # fmt: skip
    made = [
        replace(row(seq, kind=kind), time=f"2026-01-01T{at}:00+00:00", action=action, body=f"{seq}")
        for seq, (at, kind, action) in enumerate(given, start=1)
    ]
    add_rows(engine, made)
    found = traffic_since(engine, "2026-01-01T10:00:00+00:00")
    assert [(one.hour, one.kind, one.action, one.n) for one in found] == [
        ("2026-01-01T10", "accepted", "allow", 2), ("2026-01-01T10", "accepted", "block", 1),
        ("2026-01-01T11", "accepted", "allow", 1),
    ]  # fmt: skip
    assert recent_bodies(engine, "accepted", 2) == [made[3].body, made[2].body]
