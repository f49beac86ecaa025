"""Read a source as records, by recognising what its first row is.

    read(Preference, "pairs.jsonl.gz")                                     # the format is recognised by the fields
    read(Conversation, "gsm8k.jsonl", columns={"prompt": "question", "completion": "answer"})
    read(Prompt, "pairs.jsonl.gz")                                         # the prompts of any format

Nothing is guessed. Rows that fit two formats of the kind asked for, and rows that mean something else than was asked for,
are an error that says what to do: labelled completions read as conversations would teach the bad ones too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import TypeVar, cast

from trueline.core.records import nearest
from trueline.core.types import Conversation, Preference, Prompt, Ranking
from trueline.data.formats import FORMATS, Format, Labelled, Record, prompt_of
from trueline.data.messages import FieldError
from trueline.data.rows import DataError, Row, read_rows

T = TypeVar("T", Conversation, Preference, Ranking, Prompt, Labelled)


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a source was recognised as; `fields` are those of its first row."""

    source: str
    format: str
    kind: type[Record]
    fields: tuple[str, ...]


def read(
    kind: type[T],
    source: str | Path,
    format: str | None = None,  # noqa: A002 - the word that people know
    columns: Mapping[str, str] | None = None,
) -> Iterator[T]:
    """Read the records of a file or of `hf:NAME[:split]`. `columns` names the column of a field: {"prompt": "question"}.

    The format is recognised at once, by the first row; the other rows are read as they are asked for.
    """
    if kind not in _KINDS:
        raise DataError(f"{getattr(kind, '__name__', kind)}: expected one of {', '.join(k.__name__ for k in _KINDS)}")
    first, rows = _open(source, columns or {})
    form = _recognise(first, kind) if format is None else _by_name(format)
    if form.kind is not kind and kind is not Prompt:
        raise DataError(f"format {form.name!r} holds {form.kind.__name__} records, not {kind.__name__}")
    found = (_convert(form, row) for row in rows)
    return cast(Iterator[T], map(prompt_of, found) if kind is Prompt else found)


def describe(source: str | Path, columns: Mapping[str, str] | None = None) -> Recognised:
    """Say what a source is recognised as, by its first row."""
    first, _ = _open(source, columns or {})
    form = _recognise(first, None)
    return Recognised(str(source), form.name, form.kind, tuple(first.values))


def _open(source: str | Path, columns: Mapping[str, str]) -> tuple[Row, Iterator[Row]]:
    known = {field for form in FORMATS for field in form.needs} | _OPTIONAL
    for field in columns:
        if field not in known:
            raise DataError(
                f"columns: {field!r} is no field of ours{nearest(field, known)}; write {{field: column of the file}}, "
                f"with a field of {', '.join(sorted(known))}"
            )
    rows = (_renamed(row, columns) for row in read_rows(source))
    first = next(rows)
    return first, chain([first], rows)


def _renamed(row: Row, columns: Mapping[str, str]) -> Row:
    for column in columns.values():
        if column not in row.values:
            found = f"found {_listed(row.values)}{nearest(column, row.values)}"
            raise DataError(f"{row.file}:{row.line}: expected the column {column!r}, {found}")
    others = {name: value for name, value in row.values.items() if name not in columns.values()}
    return Row(row.file, row.line, {**others, **{field: row.values[column] for field, column in columns.items()}})


def _recognise(row: Row, kind: type[Record] | None) -> Format:
    """Choose the one format that a row fits, among those of a kind where one is given."""
    present = {name for name, value in row.values.items() if value is not None}
    fitting = [form for form in FORMATS if present.issuperset(form.needs) and form.tells(row.values)]
    # A format that needs more says more: what fits `kto` fits `prompt-completion` too, and is not that.
    most = [form for form in fitting if not any(set(form.needs) < set(other.needs) for other in fitting)]
    if kind is Prompt:
        wanted = [form for form in fitting if form.kind is Prompt] or most
    else:
        wanted = [form for form in most if kind in (None, form.kind)]
    where = f"{row.file}:{row.line}"
    if len(wanted) == 1:
        return wanted[0]
    if wanted:
        names = " and ".join(repr(form.name) for form in wanted)
        raise DataError(f"{where}: the fields {_listed(row.values)} fit {names}; say which with format=")
    if most and kind is not None:
        is_one = " and ".join(f"{form.name!r} ({form.kind.__name__})" for form in most)
        raise DataError(
            f"{where}: expected {kind.__name__} records, these are {is_one}; read them as {most[0].kind.__name__}, "
            f"or say format= if you mean it; {_needs(kind)}"
        )
    raise DataError(f"{where}: no format fits the fields {_listed(row.values)}{_hint(row, kind)}; {_needs(kind)}")


def _convert(form: Format, row: Row) -> Record:
    try:
        for field in form.needs:
            if row.values.get(field) is None:
                expected = f"a value (format {form.name!r} needs {', '.join(form.needs)})"
                raise FieldError(field, expected, None, nearest(field, row.values.keys() - set(form.needs)))
        return form.convert(row.values)
    except ValueError as error:
        raise DataError(f"{row.file}:{row.line}: {error}") from None


def _by_name(name: str) -> Format:
    for form in FORMATS:
        if form.name == name:
            return form
    names = [form.name for form in FORMATS]
    raise DataError(f"format {name!r} is not known{nearest(name, names)}; expected one of {', '.join(names)}")


def _needs(kind: type[Record] | None) -> str:
    forms = [f"{form.name} ({', '.join(form.needs)})" for form in FORMATS if kind in (None, Prompt, form.kind)]
    return f"{'the formats' if kind in (None, Prompt) else kind.__name__} need: {'; '.join(forms)}"


def _hint(row: Row, kind: type[Record] | None) -> str:
    """Name a field that is nearly one of ours, and how to say that it is."""
    if set(row.values) == {"text"}:
        return ": documents have no prompt and no answer (read_rows gives their text)"
    fields = {field for form in FORMATS if kind in (None, Prompt, form.kind) for field in form.needs}
    for column in row.values:
        if column not in fields | _OPTIONAL and (close := get_close_matches(column, sorted(fields), n=1, cutoff=0.75)):
            return f"; if {column!r} is {close[0]!r}, say columns={{{close[0]!r}: {column!r}}}"
    return "; if they have other names here, say columns={field: column}"


def _listed(fields: Iterable[str]) -> str:
    return ", ".join(fields) or "(none)"


_KINDS = tuple(dict.fromkeys(form.kind for form in FORMATS))
_OPTIONAL = {"by", "category", "chosen_model", "expected", "id", "input", "margin", "model", "rejected_model", "source",
             "system", "tools"}  # fmt: skip
