"""Tests of core/files.py: whole or not at all."""

import errno
import gzip
import os

import pytest

from trueline.core.files import DiskFullError, write_lines


def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(tmp_path):
    """If the writer raises halfway, the file keeps its old bytes and the folder holds nothing else."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def half():
        yield "half of the new"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_lines(path, half())
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_lines_are_written_and_counted_plain_or_compressed(tmp_path):
    """The same lines come back from a plain file and from a compressed one, in a folder made on the way."""
    assert write_lines(tmp_path / "new" / "a.txt", ["one", "zwei é"]) == 2
    assert write_lines(tmp_path / "a.txt.gz", ["one", "zwei é"]) == 2
    assert (tmp_path / "new" / "a.txt").read_text() == "one\nzwei é\n"
    assert gzip.decompress((tmp_path / "a.txt.gz").read_bytes()).decode() == "one\nzwei é\n"


def test_compressed_bytes_depend_on_the_lines_only(tmp_path):
    """Two compressed files of the same lines are equal byte for byte, so that content hashes can be compared."""
    write_lines(tmp_path / "a.gz", ["x"])
    write_lines(tmp_path / "b.gz", ["x"])
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_a_full_disk_is_one_line_and_changes_nothing(tmp_path, monkeypatch):
    """No space left: a DiskFullError says what is needed, what is free and what to do; the old file still stands."""

    def no_space(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.txt"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(DiskFullError, match=r"more than 4 bytes needed, [\d,]+ free.*run the same command again") as caught:
        write_lines(path, ["new"])
    assert "\n" not in str(caught.value)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]
