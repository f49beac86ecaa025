"""Records to JSON and back, exactly, with errors that name the file, the line and the field.

A codec is built once for each annotation and covers any frozen dataclass of plain fields, so that a room's own record travels
as the ones of `core.types` do. It is written by hand, not with pydantic: extra fields of a standard dataclass can only be
refused there by changing the class, and these are refused by name, with the nearest right one.

Three choices: every field is written, also where it holds its default (a default may change, a record may not); the floats
that JSON lacks travel as the texts "nan", "inf" and "-inf"; in an open value (`Run.spec`) a tuple comes back as a list.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from trueline.core.files import write_lines

T = TypeVar("T")


class RecordError(ValueError):
    """A value that is not the record it should be; the text says where, what was expected and what came."""


def to_dict(record: object) -> dict[str, object]:
    """Turn a record into JSON values.

    >>> from trueline.core.types import ToolCall
    >>> to_dict(ToolCall(name="search"))
    {'name': 'search', 'arguments': '', 'id': ''}
    """
    try:
        return cast(dict[str, object], _codec(cast(object, type(record))).write(record))
    except _WrongValue as wrong:
        raise RecordError(f"{type(record).__name__}: {wrong}") from None


def from_dict(kind: type[T], values: object, where: str = "") -> T:
    """Turn JSON values into a record of this kind; `where` opens the error text (such as FILE:LINE)."""
    try:
        return cast(T, _codec(cast(object, kind)).read(values))
    except _WrongValue as wrong:
        raise RecordError(f"{where or kind.__name__}: {wrong}") from None


def to_json(record: object) -> str:
    """Turn a record into one line of JSON."""
    return json_line(to_dict(record))


def from_json(kind: type[T], text: str, where: str = "") -> T:
    """Read a record of this kind from JSON text."""
    try:
        values = json.loads(text)
    except ValueError as error:
        start = text.strip()[:40]
        raise RecordError(
            f"{where or kind.__name__}: expected one JSON object ({kind.__name__}), got {start!r}: {error}"
        ) from None
    return from_dict(kind, values, where)


def read_jsonl(path: str | Path, kind: type[T]) -> Iterator[T]:
    """Read the records of a JSONL file one by one (`.gz`: compressed); blank lines are passed over."""
    path = Path(path)
    if not path.is_file():
        raise RecordError(f"{path}: expected a JSONL file of {kind.__name__} records, found no such file; check the name")
    return _records(path, kind)


def write_jsonl(path: str | Path, records: Iterable[object]) -> int:
    """Write the records to a JSONL file, whole or not at all; return how many there were."""
    return write_lines(path, (to_json(record) for record in records))


def json_line(value: object) -> str:
    """Write plain JSON values on one line, letters as they are (escaped only where UTF-8 has no form for them)."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, as a cut-off escape leaves it
        return json.dumps(value, allow_nan=False)
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """Say the nearest known word as a question, or nothing.

    >>> nearest("promt", ["prompt", "chosen"])
    "; did you mean 'prompt'?"
    """
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _records(path: Path, kind: type[T]) -> Iterator[T]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path}:{number}"
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise RecordError(f"{where}: expected UTF-8 text, got a byte that is not: {error}") from None
            if text.strip():
                yield from_json(kind, text, where)


class _WrongValue(Exception):  # noqa: N818 - never leaves this file: it gathers the field's path on its way up
    def __init__(self, expected: str, got: object, path: str = "") -> None:
        self.expected, self.got, self.path = expected, got, path

    def inside(self, step: str) -> _WrongValue:
        joint = "." if self.path and not self.path.startswith("[") else ""
        return _WrongValue(self.expected, self.got, f"{step}{joint}{self.path}")

    def __str__(self) -> str:
        text = repr(self.got)
        got = f"{text if len(text) <= 60 else text[:57] + '...'} ({type(self.got).__name__})"
        return f"{f'field {self.path!r}: ' if self.path else ''}expected {self.expected}, got {got}"


@dataclass(frozen=True, slots=True)
class _Codec:
    read: Callable[[object], object]  # JSON value -> field value
    write: Callable[[object], object]  # field value -> JSON value


@cache
def _codec(annotation: object) -> _Codec:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and is_dataclass(annotation):
        return _record_codec(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Literal:
        return _both(_literal(arguments))
    if origin in (Union, UnionType) and len(arguments) == 2 and NoneType in arguments:
        inner = _codec(next(kind for kind in arguments if kind is not NoneType))
        return _Codec(
            lambda value: None if value is None else inner.read(value),
            lambda value: None if value is None else inner.write(value),
        )
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        item = _codec(arguments[0])
        return _Codec(_items(item.read, list, tuple), _items(item.write, tuple, list))
    if isinstance(origin, type) and issubclass(origin, Mapping) and arguments[0] is str:
        entry = _codec(arguments[1])
        return _Codec(_entries(entry.read), _entries(entry.write))
    raise TypeError(
        f"no JSON form for {annotation!r}; a record's field is a str, int, float, bool, Literal, tuple[X, ...], "
        f"Mapping[str, X], X | None or another record"
    )


def _record_codec(kind: type) -> _Codec:
    hints = get_type_hints(kind)
    codecs = {field.name: _codec(hints[field.name]) for field in fields(kind)}
    required = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}

    def read(value: object) -> object:
        if not isinstance(value, dict):
            raise _WrongValue(f"an object ({kind.__name__})", value)
        if unknown := [key for key in value if key not in codecs]:
            known = ", ".join(codecs)
            raise _WrongValue(f"no such field in {kind.__name__} (it has {known}){nearest(unknown[0], codecs)}",
                              value[unknown[0]], unknown[0])  # fmt: skip
        if missing := required - value.keys():
            raise _WrongValue(f"the field {min(missing)!r} of {kind.__name__}", sorted(value))
        found: dict[str, object] = {}
        for name, item in value.items():
            try:
                found[name] = codecs[name].read(item)
            except _WrongValue as wrong:
                raise wrong.inside(name) from None
        try:
            return kind(**found)
        except ValueError as error:  # the record's own check
            raise _WrongValue(f"a {kind.__name__} ({error})", value) from None

    def write(record: object) -> object:
        if type(record) is not kind:
            raise _WrongValue(f"a {kind.__name__}", record)
        written: dict[str, object] = {}
        for name, codec in codecs.items():
            try:
                written[name] = codec.write(getattr(record, name))
            except _WrongValue as wrong:
                raise wrong.inside(name) from None
        return written

    return _Codec(read, write)


def _items(convert: Callable[[object], object], kind: type, into: Callable[[list[object]], object]) -> _Convert:
    def convert_all(value: object) -> object:
        if not isinstance(value, kind):
            raise _WrongValue(f"a {kind.__name__}", value)
        done: list[object] = []
        for index, item in enumerate(cast(Iterable[object], value)):
            try:
                done.append(convert(item))
            except _WrongValue as wrong:
                raise wrong.inside(f"[{index}]") from None
        return into(done)

    return convert_all


def _entries(convert: Callable[[object], object]) -> _Convert:
    def convert_all(value: object) -> object:
        if not isinstance(value, Mapping):
            raise _WrongValue("an object", value)
        done: dict[str, object] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise _WrongValue("text as every key", key)
            try:
                done[key] = convert(item)
            except _WrongValue as wrong:
                raise wrong.inside(f"[{key!r}]") from None
        return done

    return convert_all


def _literal(allowed: tuple[object, ...]) -> _Convert:
    words = ", ".join(map(repr, allowed))

    def check(value: object) -> object:
        if not isinstance(value, str) or value not in allowed:
            raise _WrongValue(f"one of {words}", value)
        return value

    return check


def _exactly(kind: type, name: str) -> _Convert:
    def check(value: object) -> object:
        if type(value) is not kind:  # `is`: True is no integer here
            raise _WrongValue(name, value)
        return value

    return check


def _read_float(value: object) -> object:
    if value in ("nan", "inf", "-inf"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _WrongValue("a number", value)
    try:
        return float(value)
    except OverflowError:
        raise _WrongValue("a number that a float can hold", value) from None


def _write_float(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _WrongValue("a number", value)
    return float(value) if math.isfinite(value) else str(float(value))


def _open_value(value: object) -> object:
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, (list, tuple)):
        return _items(_open_value, type(value), list)(value)
    if isinstance(value, Mapping):
        return _entries(_open_value)(value)
    raise _WrongValue("a plain JSON value (text, finite number, true, false, null, list, object)", value)


_Convert = Callable[[object], object]


def _both(convert: _Convert) -> _Codec:
    return _Codec(convert, convert)


_PLAIN: dict[object, _Codec] = {
    str: _both(_exactly(str, "text")),
    int: _both(_exactly(int, "a whole number")),
    bool: _both(_exactly(bool, "true or false")),
    float: _Codec(_read_float, _write_float),
    object: _both(_open_value),
}
