"""Tests of guard/audit/chain.py: whatever is changed, taken out, moved or cut off, the first row that does not fit is named."""

import asyncio
import shutil
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guard.audit.deciding import BASIS, QUIET, exchange
from trueline.guard.audit.audit import Audit, Settings
from trueline.guard.audit.chain import GENESIS, Fault, Head, anchor, follow, link, read_anchor, verify
from trueline.guard.audit.digests import Secret
from trueline.guard.audit.record import Usage
from trueline.guard.ruling import allow
from trueline.store.audits import AuditRow, add_rows, audit_writers, purge_texts, rows_of
from trueline.store.opening import open_database

ROWS = 9  # opened, and four exchanges
COLUMNS = ("id", "kind", "time", "endpoint", "action", "key", "body", "hash")
some = settings(deadline=None, max_examples=40)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with an audit of ROWS rows, closed."""
    folder = tmp_path_factory.mktemp("kept")
    audit = Audit.open(folder / "audit", folder / "a.db", Settings(apart=False, every=QUIET))
    for number in range(4):
        id_ = audit.accept(exchange(f"a{number}"), allow("a"), [allow("a")], BASIS, key="k")
        audit.settle(id_, exchange("a", f"b{number}"), allow("a"), [], BASIS, key="k", tokens=Usage(input=1, output=number))
    asyncio.run(audit.close())
    return folder


@pytest.fixture(scope="module")
def rows(kept):
    """The rows of that audit."""
    database = open_database(kept / "a.db")
    return list(rows_of(database, *audit_writers(database)))


def fault(rows: list[AuditRow], changed: list[AuditRow]) -> Fault | None:
    """What does not fit in changed rows, with the head that was kept of the rows as they were."""
    head = Head(writer=rows[-1].writer, seq=rows[-1].seq, hash=rows[-1].hash)
    return follow(head.writer, changed, [head]).fault


def altered(row: AuditRow, **fields: object) -> AuditRow:
    """A row with other values."""
    return AuditRow(**{name: fields.get(name, getattr(row, name)) for name in AuditRow.__slots__})


def chained(rows: list[AuditRow]) -> list[AuditRow]:
    """Rows with hashes that fit, as somebody makes them who knows how."""
    before, made = GENESIS, []
    for row in rows:
        made.append(altered(row, hash=link(before, row.body)))
        before = made[-1].hash
    return made


def test_a_chain_that_nobody_touched_is_whole(kept, rows):
    """All rows fit, and the head is the last one."""
    (chain,) = verify(open_database(kept / "a.db"), kept / "audit", Secret.open(kept / "audit"))
    assert (chain.state, chain.rows, chain.head.seq, chain.fault) == ("whole", ROWS, ROWS, None)
    assert len(rows) == ROWS


@some
@given(seq=st.integers(1, ROWS), column=st.sampled_from(COLUMNS), at=st.integers(0, 10_000))
def test_a_changed_character_is_found_in_its_row(rows, seq, column, at):
    """One other character in any column of any row: that row is named, whatever it was."""
    text = getattr(rows[seq - 1], column)
    place = at % (len(text) + 1)
    new = text[:place] + ("#" if text[place : place + 1] != "#" else "+") + text[place + 1 :]
    found = fault(rows, [altered(row, **{column: new}) if row.seq == seq else row for row in rows])
    assert found.seq == seq
    assert ("column" in found.why) == (column not in ("body", "hash"))
    assert found.kind in ("changed", "reordered")  # where the character stands in the number or the writer, it is another row's


@some
@given(seq=st.integers(1, ROWS), tokens=st.integers(5, 9) | st.none())
def test_a_changed_number_is_found(rows, seq, tokens):
    """Tokens that the body does not say are named, as are tokens that are left out."""
    found = fault(rows, [altered(row, tokens=tokens) if row.seq == seq else row for row in rows])
    if tokens == rows[seq - 1].tokens:
        assert found is None
    else:
        assert (found.kind, found.seq) == ("changed", seq)


@some
@given(first=st.integers(1, ROWS), count=st.integers(1, ROWS))
def test_missing_rows_are_found(rows, first, count):
    """Rows taken out before the last one are missing, from the first of them on; up to the end, they are cut off."""
    found = fault(rows, [row for row in rows if not first <= row.seq < first + count])
    assert (found.kind, found.seq) == ("missing" if first + count <= ROWS else "truncated", first)


@some
@given(one=st.integers(1, ROWS), other=st.integers(1, ROWS))
def test_rows_in_another_order_are_found(rows, one, other):
    """Two rows that change places are named, with and without hashes that fit."""
    swapped = list(rows)
    first, second = rows[one - 1], rows[other - 1]
    swapped[one - 1], swapped[other - 1] = altered(second, seq=first.seq), altered(first, seq=second.seq)
    for changed in (swapped, chained(swapped)):
        found = fault(rows, changed)
        assert found is None if one == other else (found.kind, found.seq) == ("reordered", min(one, other))


@some
@given(seq=st.integers(1, ROWS))
def test_a_history_that_is_written_again_does_not_meet_its_head(rows, seq):
    """Who changes a row and makes all hashes fit is found by the head that was kept."""
    body = rows[seq - 1].body.replace('"writer"', '"zone":"#","writer"')
    assert fault(rows, chained([altered(row, body=body) if row.seq == seq else row for row in rows])).kind == "rewritten"


def test_rows_behind_the_head_are_not_taken_for_signed(kept, rows, tmp_path):
    """A row that somebody adds at the end, with a hash that fits, makes the chain unsigned, not whole."""
    copy = tmp_path / "copy"
    shutil.copytree(kept, copy)
    database = open_database(copy / "a.db")
    body = rows[-1].body.replace(f'"seq":{ROWS}', f'"seq":{ROWS + 1}')
    add_rows(database, [altered(rows[-1], seq=ROWS + 1, body=body, hash=link(rows[-1].hash, body))])
    (chain,) = verify(database, copy / "audit", Secret.open(copy / "audit"))
    assert (chain.state, chain.rows) == ("unsigned", ROWS + 1)


def test_a_head_that_is_changed_or_gone_is_told(kept, tmp_path):
    """A head with another number, or of another key, is named; without a head a chain is unsigned."""
    copy = tmp_path / "copy"
    shutil.copytree(kept, copy)
    database = open_database(copy / "a.db")
    (head,) = (copy / "audit").glob("*/head")
    text = head.read_bytes()
    head.write_bytes(text.replace(b'"seq":9', b'"seq":8'))
    (chain,) = verify(database, copy / "audit", Secret.open(copy / "audit"))
    assert chain.fault.kind == "unsigned head"
    head.write_bytes(text)
    (chain,) = verify(database, copy / "audit", Secret(b"another key, as long as it must be"))
    assert chain.fault.kind == "unsigned head"
    head.unlink()
    (chain,) = verify(database, copy / "audit", Secret.open(copy / "audit"))
    assert (chain.state, chain.fault) == ("unsigned", None)


def test_a_head_never_goes_back(tmp_path):
    """Rows that were cut off while a writer runs stay missed: its head is not signed again with fewer."""
    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", Settings(apart=False, every=QUIET))
    audit.accept(exchange(), allow("a"), [], BASIS)
    audit._feeder.round()
    database = open_database(tmp_path / "a.db")
    with closing(database.raw_connection()) as connection:
        connection.execute("DELETE FROM audit WHERE seq = 2")
    audit._feeder._forget()
    audit._feeder.round()
    (chain,) = verify(database, tmp_path / "audit", Secret.open(tmp_path / "audit"))
    assert (chain.fault.kind, chain.fault.seq) == ("truncated", 2)
    asyncio.run(audit.close())


def test_an_anchor_that_was_kept_elsewhere_finds_what_is_written_again_with_its_head(kept, tmp_path):
    """A history whose rows and folder are both replaced is whole in itself, and does not go through the anchor."""
    copy = tmp_path / "copy"
    shutil.copytree(kept, copy)
    database = open_database(copy / "a.db")
    secret = Secret.open(copy / "audit")
    chains = verify(database, copy / "audit", secret)
    heads = read_anchor(anchor(chains))
    assert heads == [chains[0].head]
    shutil.rmtree(copy / "audit" / chains[0].writer)
    with closing(database.raw_connection()) as connection:
        connection.execute("DELETE FROM audit")
    assert verify(database, copy / "audit", secret) == []
    (chain,) = verify(database, copy / "audit", secret, heads)
    assert (chain.fault.kind, chain.fault.seq) == ("truncated", 1)
    with pytest.raises(ValueError, match="line 1: expected a writer"):
        read_anchor("nothing")


def test_purging_texts_leaves_the_chain_whole(tmp_path):
    """Texts go when they expire, leave no trace in the file, and no row stands on them."""
    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", Settings(apart=False, every=QUIET))
    keeping = type(BASIS)(policy="p", keep_days=3)
    audit.accept(exchange("heliotrope"), allow("a"), [], keeping)
    asyncio.run(audit.close())
    database = open_database(tmp_path / "a.db")
    assert purge_texts(database, "2000-01-01") == 0
    assert purge_texts(database, "9000-01-01") == 1
    assert verify(database, tmp_path / "audit", Secret.open(tmp_path / "audit"))[0].state == "whole"
    assert not any(b"heliotrope" in path.read_bytes() for path in tmp_path.glob("a.db*"))
