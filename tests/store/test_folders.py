"""Tests of store/folders.py: whole or not at all, stable hashes, and one writer."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trueline.store.folders import (
    BusyError,
    content_hash,
    digest,
    git_commit,
    lock,
    settle,
    write_bytes,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_files_are_written_whole(tmp_path):
    """Text, JSON and bytes come back, and nothing else is left in the folder."""
    write_text(tmp_path / "a.txt", "é\n")
    write_json(tmp_path / "a.json", {"b": [1, None]})
    write_bytes(tmp_path / "deep" / "a.bin", b"\0")
    assert (tmp_path / "a.txt").read_text() == "é\n"
    assert (tmp_path / "a.json").read_text() == '{\n  "b": [\n    1,\n    null\n  ]\n}\n'
    assert names(tmp_path) == ["a.json", "a.txt", "deep", "deep/a.bin"]


def test_what_a_killed_writer_left_is_dropped(tmp_path):
    """Unfinished files go, at any depth; what only looks hidden stays."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / ".a.txt.1-2.tmp").write_text("half")
    (tmp_path / "in" / ".keep").write_text("not ours")
    settle(tmp_path)
    assert names(tmp_path) == ["in", "in/.keep"]


def test_a_content_hash_follows_names_and_bytes_only(tmp_path):
    """A copy elsewhere has the same hash; another byte or another name has another."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").write_text("1")
    (tmp_path / "a" / "y").write_text("2")
    first = content_hash(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    assert content_hash(tmp_path / "copy") == first
    (tmp_path / "copy" / "y").write_text("3")
    assert content_hash(tmp_path / "copy") != first
    (tmp_path / "a" / "y").rename(tmp_path / "a" / "z")
    assert content_hash(tmp_path / "a") != first
    assert content_hash(tmp_path / "a" / "z") != content_hash(tmp_path / "copy" / "y")
    with pytest.raises(FileNotFoundError, match="check the name"):
        content_hash(tmp_path / "none")


def test_a_digest_does_not_depend_on_the_order_of_keys():
    """Equal settings in another order, with tuples for lists, have one digest; other settings have another."""
    assert digest({"a": 1, "b": {"c": (1, 2), "d": 3}}) == digest({"b": {"d": 3, "c": [1, 2]}, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_the_commit_never_fails(tmp_path, monkeypatch):
    """Outside a repository, in no folder, or without git, the commit is the empty text."""
    assert git_commit(tmp_path) == ""
    assert git_commit(tmp_path / "none") == ""
    monkeypatch.setenv("PATH", "")
    assert git_commit(tmp_path) == ""


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_the_head_of_the_repository(tmp_path):
    """In a repository with a commit, it is that commit's 40 hex digits."""
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    assert len(git_commit(tmp_path)) == 40


def test_a_second_writer_is_told_who_the_first_is(tmp_path):
    """While a lock is held nobody else gets it; once it is let go anyone does."""
    busy = pytest.raises(BusyError, match=r"process \d+ on .* is writing here; wait")
    with lock(tmp_path / "run.lock"), busy, lock(tmp_path / "run.lock"):
        pass
    with lock(tmp_path / "run.lock"):
        pass


def test_a_killed_process_holds_no_lock(tmp_path):
    """A lock that another process holds is refused, and is free once that process is killed."""
    code = "import sys; from trueline.store.folders import lock\nwith lock(sys.argv[1]): print(1, flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"1\n"
        with pytest.raises(BusyError, match=f"process {holder.pid} "), lock(tmp_path / "run.lock"):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with lock(tmp_path / "run.lock"):
        pass
