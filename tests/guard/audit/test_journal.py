"""Tests of guard/audit/journal.py: what was appended is read once and in order, however it is cut, read and interrupted."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.audit.journal import Journal, Reader, next_seq, segments
from trueline.guard.audit.record import line

some = settings(deadline=None, max_examples=60)


def row(seq: int, length: int = 0) -> bytes:
    return line({"note": "é" * length, "seq": seq, "writer": "w"})


@some
@given(
    lengths=st.lists(st.integers(0, 300), min_size=1, max_size=40),
    segment=st.integers(50, 2000),
    most=st.integers(1, 3000),
    moves=st.lists(st.sampled_from(["append", "read", "done", "roll", "again"]), max_size=60),
)
def test_rows_are_read_once_and_in_order(lengths, segment, most, moves):
    """However segments are cut and reads are sized, what is done makes up all rows in order, with their sizes."""
    with TemporaryDirectory() as above:
        folder = Path(above, "w")
        folder.mkdir()
        journal = Journal(folder, 1, segment)
        reader, waiting, found, read = Reader(folder), list(lengths), [], []
        moves = [*moves, *["append"] * len(lengths), *["read", "done"] * (len(lengths) + len(segments(folder)) + 60)]
        for move in moves:
            if move == "append" and waiting:
                journal.append(row(journal.seq, waiting.pop(0)) + b"\t[1]")
            elif move == "read":
                read = reader.read(most)
            elif move == "done":
                reader.done()
                journal.ingested(sum(entry.size for entry in read))
                found, read = [*found, *read], []
            elif move == "roll":
                journal.roll(1, 0.0)
            elif move == "again" and not read:  # as after an error: what was not done is read again
                reader.read(most)
                read = []
                reader._next = reader._at
        assert [entry.fields["seq"] for entry in found] == list(range(1, len(lengths) + 1))
        assert {entry.text for entry in found} == {b"[1]"}
        assert journal.pending == 0
        journal.close()


@some
@given(whole=st.integers(0, 3), cut=st.integers(0, 40))
def test_the_next_number_leaves_room_for_a_torn_line(tmp_path_factory, whole, cut):
    """After whole rows comes the next number; after a torn line the one behind it, which is the torn line's own."""
    folder = tmp_path_factory.mktemp("journal") / "w"
    folder.mkdir()
    assert next_seq(folder, "w") == 1
    torn = row(99)[:cut]
    text = b"".join(row(seq) + b"\n" for seq in range(5, 5 + whole)) + torn
    (folder / "000000000005.journal").write_bytes(text)
    assert next_seq(folder, "w") == 5 + whole + bool(torn)
    journal = Journal(folder, next_seq(folder, "w"))
    journal.append(row(journal.seq))
    kinds = [bool(entry.fields) for entry in Reader(folder).read(10_000)]
    assert kinds == [True] * whole + [False] * bool(torn) + [True]
    journal.close()


def test_a_line_under_way_is_not_read(tmp_path):
    """Of the segment that is written to, only whole lines are read; of one that is not, also what is left."""
    folder = tmp_path / "w"
    folder.mkdir()
    journal = Journal(folder, 1)
    journal.append(row(1))
    with journal.path.open("ab") as half:
        half.write(row(2)[:9])
    reader = Reader(folder)
    assert len(reader.read(10_000)) == 1
    reader.done()
    assert reader.read(10_000) == []
    journal.seq = 3
    journal.roll(1, 0.0)
    (torn,) = reader.read(10_000)
    assert (torn.fields, torn.size) == ({}, 9)
    reader.done()
    assert segments(folder) == [journal.path]
    journal.close()


def test_rows_of_another_writer_are_no_rows(tmp_path):
    """A line that names another writer, no number, or no object, is not taken for a row."""
    folder = tmp_path / "w"
    folder.mkdir()
    journal = Journal(folder, 1)
    for text in (b'{"seq":1,"writer":"v"}', b'{"seq":"1","writer":"w"}', b'{"seq":true,"writer":"w"}', b"[1]", b"\0\0", b"{"):
        journal.append(text)
    assert not any(entry.fields for entry in Reader(folder).read(10_000))
    journal.close()
