"""Rows of a file, whatever it is: JSONL, JSON, CSV, Parquet, plain text, each also gzipped; or a dataset of the hub.

A row knows its file and its line, so that whatever is wrong with it later can be pointed at.
In a JSON array, a Parquet file or a hub dataset, `line` is the number of the row; everything counts from 1.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from trueline.core.records import nearest

_PIECE = 1 << 20  # characters of a text file that are looked at together


class DataError(ValueError):
    """A dataset that is not what it should be: the text opens with FILE:LINE, and says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a source, before anyone has asked what it means."""

    file: str
    line: int
    values: Mapping[str, Any]


def read_rows(source: str | Path, separator: str | None = None) -> Iterator[Row]:
    """Read the rows of a file or of `hf:NAME[:split]`, one by one; a source without a row is an error.

    A `.txt` file holds documents, as rows with the one field `text`. They are divided by blank lines, or by `separator`
    ("\\n": one document a line).
    """
    name = str(source)
    if name.startswith("hf:"):
        return _at_least_one(name, _hub(name))
    path = Path(source)
    if not path.is_file():
        raise DataError(f"{name}: expected a file, {_what_is_there(path)}")
    suffix = _suffix(path)
    if suffix not in _READERS:
        raise DataError(f"{name}: expected a file that ends in {', '.join(_READERS)} (or one of these and .gz)")
    if separator is not None and (suffix != ".txt" or not separator):
        raise DataError(f"{name}: a separator ({separator!r}) is some text between the documents of a .txt file")
    return _at_least_one(name, _guarded(path, _READERS[suffix], separator))


def names_file(source: str) -> bool:
    """Return whether a name is that of a file that can be read here, there or not; `hf:NAME` and addresses are not.

    >>> names_file("goals.jsonl.gz"), names_file("hf:goals.csv"), names_file("safety")
    (True, False, False)
    """
    return ":" not in source and _suffix(Path(source)) in _READERS


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def _at_least_one(name: str, rows: Iterator[Row]) -> Iterator[Row]:
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise DataError(f"{name}: expected at least one row, the source is empty")


def _guarded(path: Path, reader: _Reader, separator: str | None) -> Iterator[Row]:
    """Say which file it was when its bytes are not what its name promises."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as handle:
            yield from reader(str(path), cast(BinaryIO, handle), separator)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: expected a whole gzip file: {error}; fetch it again") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8 text, got byte {error.object[error.start]:#x}; convert the file") from None


def _text(handle: BinaryIO) -> io.TextIOWrapper:
    return io.TextIOWrapper(handle, encoding="utf-8-sig", newline="")  # -sig: some editors write a byte order mark


def _jsonl(file: str, handle: BinaryIO, _: str | None) -> Iterator[Row]:
    for number, line in enumerate(handle, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            got = f"{error.object[error.start]:#x}"
            raise DataError(f"{file}:{number}: expected UTF-8 text, got byte {got}; convert the file") from None
        if text:
            yield _row(file, number, _parse(file, number, text))


def _json(file: str, handle: BinaryIO, _: str | None) -> Iterator[Row]:
    text = _text(handle).read()
    value = _parse(file, 1, text) if text.strip() else []
    if isinstance(value, dict):
        lists = [key for key, item in value.items() if isinstance(item, list)]
        if len(lists) != 1:
            raise DataError(
                f"{file}: expected a JSON array, or an object with one list of rows; got an object whose lists are "
                f"{', '.join(map(repr, lists)) or 'none'}; save the wanted list as a file of its own"
            )
        value = value[lists[0]]
    if not isinstance(value, list):
        raise DataError(f"{file}: expected a JSON array of rows, got {type(value).__name__}")
    for number, item in enumerate(value, start=1):
        yield _row(file, number, item)


def _csv(file: str, handle: BinaryIO, _: str | None) -> Iterator[Row]:
    csv.field_size_limit(2**31 - 1)  # the module's own limit, 131,072 characters, is shorter than some documents
    reader = csv.DictReader(_text(handle), strict=True)
    line = 2
    try:
        for values in reader:
            if None in values or None in values.values():
                raise DataError(
                    f"{file}:{line}: expected {len(reader.fieldnames or ())} fields as in the first line, got "
                    f"{'more' if None in values else 'fewer'}; put a field that holds a comma between double quotes"
                )
            yield Row(file, line, values)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{file}:{line}: expected a line of CSV: {error}") from None


def _parquet(file: str, handle: BinaryIO, _: str | None) -> Iterator[Row]:
    try:
        from pyarrow import ArrowInvalid, BufferReader
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise DataError(f"{file}: a Parquet file needs pyarrow; install it: pip install 'trueline[data]'") from None
    try:
        table = ParquetFile(BufferReader(handle.read()) if isinstance(handle, gzip.GzipFile) else handle)
        number = 0
        for batch in table.iter_batches():
            for values in batch.to_pylist():
                number += 1
                yield Row(file, number, values)
    except ArrowInvalid as error:
        raise DataError(f"{file}: expected a Parquet file: {str(error).partition(chr(10))[0]}") from None


def _documents(file: str, handle: BinaryIO, separator: str | None) -> Iterator[Row]:
    for line, document in _between_blank_lines(handle) if separator is None else _between(handle, separator):
        if document.strip():
            yield Row(file, line, {"text": document})


def _between_blank_lines(handle: BinaryIO) -> Iterator[tuple[int, str]]:
    first, lines = 1, []
    for number, line in enumerate(_text(handle), start=1):
        if line.strip():
            lines.append(line.rstrip("\r\n"))
        else:
            yield first, "\n".join(lines)
            first, lines = number + 1, []
    yield first, "\n".join(lines)


def _between(handle: BinaryIO, separator: str) -> Iterator[tuple[int, str]]:
    text, line, rest = _text(handle), 1, ""
    while piece := text.read(_PIECE):
        *whole, rest = (rest + piece).split(separator)
        for document in whole:
            blank = len(document) - len(document.lstrip())  # a document's line is that of its first word
            yield line + document[:blank].count("\n"), document.strip("\r\n")
            line += document.count("\n") + separator.count("\n")
    blank = len(rest) - len(rest.lstrip())
    yield line + rest[:blank].count("\n"), rest.strip("\r\n")


def _hub(source: str) -> Iterator[Row]:
    name, _, split = source.removeprefix("hf:").partition(":")
    if not name:
        raise DataError(f"{source!r}: expected hf:NAME or hf:NAME:SPLIT, such as hf:trl-lib/ultrafeedback_binarized:train")
    try:
        from datasets import load_dataset
    except ImportError:
        raise DataError(f"{source}: a hub dataset needs `datasets`; install it: pip install 'trueline[data]'") from None
    try:
        dataset = load_dataset(name, split=split or "train")
    except Exception as error:  # the library has a dozen kinds, for one fact: it is not to be had
        raise DataError(f"{source}: cannot load this dataset: {str(error).strip().partition(chr(10))[0]}") from error
    for number, values in enumerate(dataset, start=1):
        yield Row(source, number, values)


def _parse(file: str, line: int, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_each_field_once)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}:{line}: expected JSON, got {text.strip()[:40]!r}: {error}") from None


def _each_field_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, of whose fields none may stand twice: a reader would take the last one without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r:.60} stands twice; leave one of the two out")
    return found


def _row(file: str, line: int, value: Any) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"{file}:{line}: expected an object with named fields, got {type(value).__name__}")
    return Row(file, line, value)


def _what_is_there(path: Path) -> str:
    if path.is_dir():
        names = sorted(entry.name for entry in path.iterdir())
        return f"this is a folder; name a file in it: {', '.join(names[:8]) or 'it is empty'}"
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"found none of that name{nearest(path.name, beside) or '; check the path, or write hf:NAME for a hub dataset'}"


_Reader = Callable[[str, BinaryIO, str | None], Iterator[Row]]
_READERS: dict[str, _Reader] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
    ".txt": _documents,
}
