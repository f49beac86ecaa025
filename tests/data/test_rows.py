"""Tests of data/rows.py: the same rows come out of every kind of file, and a bad file is named with its line."""

import gzip
import json
import sys
from types import ModuleType

import pytest

from trueline.data.rows import DataError, read_rows

ROWS = [{"prompt": "a, b", "answer": 'say "é"\nnow'}, {"prompt": "c", "answer": ""}]
CSV = 'prompt,answer\n"a, b","say ""é""\nnow"\nc,\n'
TEXTS = {
    "rows.jsonl": "\n".join(map(json.dumps, ROWS)) + "\n\n",
    "rows.json": json.dumps(ROWS),
    "data.json": json.dumps({"version": 1, "data": ROWS}),
    "rows.csv": CSV,
    "mark.csv": "\ufeff" + CSV,
    "mark.jsonl": "\ufeff" + json.dumps(ROWS[0]) + "\r\n" + json.dumps(ROWS[1]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_every_file_gives_the_same_rows(tmp_path, name):
    """JSONL, JSON and CSV, plain or compressed, with a byte order mark or without, hold the same rows."""
    (tmp_path / name).write_bytes(TEXTS[name].encode())
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(TEXTS[name].encode()))
    for path in (tmp_path / name, tmp_path / f"{name}.gz"):
        rows = list(read_rows(path))
        assert [dict(row.values) for row in rows] == ROWS
        assert {row.file for row in rows} == {str(path)}
        assert rows[0].line < rows[1].line


def test_parquet_gives_the_same_rows(tmp_path):
    """A Parquet file, plain or compressed, holds the same rows, numbered from 1."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    (tmp_path / "rows.parquet.gz").write_bytes(gzip.compress(path.read_bytes()))
    for name in ("rows.parquet", "rows.parquet.gz"):
        assert [(row.line, row.values) for row in read_rows(tmp_path / name)] == [(1, ROWS[0]), (2, ROWS[1])]
    path.write_text("not parquet")
    with pytest.raises(DataError, match=r"rows\.parquet: expected a Parquet file"):
        list(read_rows(path))


@pytest.mark.parametrize(
    ("separator", "text", "documents"),
    [
        (None, "one\nmore\n\n \t\r\ntwo\r\nend", [(1, "one\nmore"), (5, "two\nend")]),
        ("\n", "one\ntwo\n\nthree", [(1, "one"), (2, "two"), (4, "three")]),
        ("<end>", "one\nmore<end>\ntwo<end>\n", [(1, "one\nmore"), (3, "two")]),
        ("\n--\n", "one\n--\n--\n--\ntwo\n", [(1, "one"), (3, "--"), (5, "two")]),
    ],
)
def test_documents_are_divided_and_know_their_line(tmp_path, separator, text, documents):
    """A text file is divided by blank lines or by the separator given; empty documents do not count."""
    (tmp_path / "a.txt").write_bytes(text.encode())
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("a.txt", "a.txt.gz"):
        assert [(row.line, row.values["text"]) for row in read_rows(tmp_path / name, separator)] == documents


def test_pieces_of_a_long_text_do_not_cut_a_separator(tmp_path, monkeypatch):
    """However the file is cut while it is read, the documents are the same."""
    text = "".join(f"document {number}\nends<end>" for number in range(50))
    (tmp_path / "a.txt").write_text(text)
    whole = list(read_rows(tmp_path / "a.txt", "<end>"))
    assert len(whole) == 50
    for piece in (1, 2, 7):
        monkeypatch.setattr("trueline.data.rows._PIECE", piece)
        assert list(read_rows(tmp_path / "a.txt", "<end>")) == whole


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.jsonl", b'{"a": 1}\n\n{oops\n', r"a\.jsonl:3: expected JSON, got '\{oops'"),
        ("a.jsonl", b'{"a": 1, "b": {"c": 1, "c": 2}}\n', r"a\.jsonl:1: expected JSON, .*: the field 'c' stands twice"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl:1: expected JSON, got '\["),
        ("a.jsonl", b"[1]\n", r"a\.jsonl:1: expected an object with named fields, got list"),
        ("a.jsonl", b'{"a": "\xff"}\n', r"a\.jsonl:1: expected UTF-8 text, got byte 0xff"),
        ("a.jsonl", b"\n\n", r"a\.jsonl: expected at least one row, the source is empty"),
        ("a.json", b"", r"a\.json: expected at least one row"),
        ("a.json", b"3", r"a\.json: expected a JSON array of rows, got int"),
        ("a.json", b'{"a": [], "b": []}', r"one list of rows; got an object whose lists are 'a', 'b'"),
        ("a.json", b'[{"a": 1}, 2]', r"a\.json:2: expected an object with named fields, got int"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", r"a\.csv:3: expected 2 fields as in the first line, got more"),
        ("a.csv", b"a,b\n1\n", r"a\.csv:2: expected 2 fields as in the first line, got fewer"),
        ("a.csv", b'a,b\n1,"2\n', r"a\.csv:2: expected a line of CSV"),
        ("a.txt", b" \n\n", r"a\.txt: expected at least one row"),
        ("a.jsonl.gz", b"plain", r"a\.jsonl\.gz: expected a whole gzip file"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 1000, mtime=0)[:30], r"expected a whole gzip file.*fetch it again"),
        ("a.docx", b"", r"a\.docx: expected a file that ends in \.jsonl, \.json"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, data, words):
    """Each fault is one line that opens with the file, and with the line where there is one."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=words) as caught:
        list(read_rows(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said_at_once(tmp_path):
    """A wrong name gets the nearest right one, and a folder gets the names in it, before any row is asked for."""
    (tmp_path / "pairs.jsonl").write_text("{}")
    with pytest.raises(DataError, match=r"found none of that name; did you mean 'pairs\.jsonl'"):
        read_rows(tmp_path / "pair.jsonl")
    with pytest.raises(DataError, match=r"this is a folder; name a file in it: pairs\.jsonl"):
        read_rows(tmp_path)
    with pytest.raises(DataError, match=r"check the path, or write hf:NAME"):
        read_rows(tmp_path / "no" / "where.jsonl")
    with pytest.raises(DataError, match="a separator"):
        read_rows(tmp_path / "pairs.jsonl", separator="\n")


def test_the_hub_is_asked_when_its_library_is_there(monkeypatch):
    """hf:NAME[:split] goes to `datasets`; without the library, or without the dataset, the error says so."""
    fake = ModuleType("datasets")
    asked = []
    fake.load_dataset = lambda name, split: asked.append((name, split)) or ROWS
    monkeypatch.setitem(sys.modules, "datasets", fake)
    assert [row.values for row in read_rows("hf:org/name")] == ROWS
    assert [row.line for row in read_rows("hf:org/name:test")] == [1, 2]
    assert asked == [("org/name", "train"), ("org/name", "test")]

    def fail(name, split):
        raise RuntimeError("no such dataset\nmore")

    fake.load_dataset = fail
    with pytest.raises(DataError, match=r"^hf:x: cannot load this dataset: no such dataset$"):
        list(read_rows("hf:x"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"needs `datasets`; install it: pip install 'trueline\[data\]'"):
        list(read_rows("hf:x"))


def test_parquet_without_its_library_names_the_extra(tmp_path, monkeypatch):
    """Without pyarrow the error says what to install."""
    (tmp_path / "a.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"needs pyarrow; install it: pip install 'trueline\[data\]'"):
        list(read_rows(tmp_path / "a.parquet"))
