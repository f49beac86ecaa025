"""Settings: an object is its own config, so a spec is read from its dataclass and checked against its types.

A spec is a nested mapping of field names: from YAML, from `key=value` words, or from an object itself. Unknown keys are
refused with the nearest right one, and the comment that stands beside a field in the source is its meaning.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import math
import re
import tokenize
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from trueline.core.records import nearest

T = TypeVar("T")


class ConfigError(ValueError):
    """A setting that is unknown, of the wrong type or out of range; the message says which and what to write."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a spec, for `trueline show`: its dotted name, type in words, default and meaning."""

    name: str
    type: str
    default: str
    meaning: str


def to_spec(config: object) -> dict[str, Any]:
    """The settings of an object as a nested dictionary of plain values."""
    return {f.name: _plain(getattr(config, f.name)) for f in _fields(type(config))}


def from_spec(kind: type[T], spec: Mapping[str, Any], where: str = "") -> T:
    """Build an object from its defaults and a (partial) spec. Raises ConfigError naming the setting."""
    return _merge(kind, None, spec, where)


def override(config: T, words: Iterable[str]) -> T:
    """Apply `key=value` words, dotted for nested settings, to an object.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Blend:
    ...     beta: float = 0.1
    >>> override(Blend(), ["beta=0.2"])
    Blend(beta=0.2)
    """
    return _merge(type(config), config, parse_words(words), "")


def parse_words(words: Iterable[str]) -> dict[str, Any]:
    """Turn `a.b=1 c=x` into a nested dictionary of texts; types are applied when the spec is read."""
    spec: dict[str, Any] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not separator or not key:
            raise ConfigError(f"expected key=value, got {word!r}; for example train.epochs=2")
        here = spec
        *path, last = key.split(".")
        for step in path:
            here = here.setdefault(step, {})
            if not isinstance(here, dict):
                raise ConfigError(f"{key!r} sets something inside {step!r}, which another word sets as a whole")
        here[last] = value
    return spec


def combine(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two specs as one, the second winning."""
    out = dict(first)
    for key, value in second.items():
        both = isinstance(out.get(key), Mapping) and isinstance(value, Mapping)
        out[key] = combine(out[key], value) if both else value
    return out


def settings(config: object, prefix: str = "") -> Iterator[Setting]:
    """Every setting of an object, nested ones dotted, in the order in which they are written."""
    known, hints = meanings(type(config)), _hints(type(config))
    for field in _fields(type(config)):
        value = getattr(config, field.name)
        name = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from settings(value, f"{name}.")
        else:
            yield Setting(name, _words(hints[field.name]), _show(value), known.get(field.name, field.name.replace("_", " ")))


def to_yaml(config: object, indent: int = 0) -> str:
    """The spec as YAML with each setting's meaning beside it: a file to edit."""
    known, lines, pad = meanings(type(config)), [], " " * indent
    for field in _fields(type(config)):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            lines += [f"{pad}{field.name}:", to_yaml(value, indent + 2)]
        else:
            note = f"  # {known[field.name]}" if field.name in known else ""
            lines.append(f"{pad}{field.name}: {_yaml(value)}{note}")
    return "\n".join(lines)


def meanings(kind: type) -> dict[str, str]:
    """What each field means: the comment on its line, inherited fields included."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        found |= _comments(base)
    return found


def _merge(kind: type[T], base: T | None, spec: Mapping[str, Any], where: str) -> T:
    known, hints = {f.name: f for f in _fields(kind)}, _hints(kind)
    values: dict[str, Any] = {}
    for key, value in spec.items():
        name = f"{where}{key}"
        if key not in known:
            shown = ", ".join(f"{where}{k}" for k in known)
            raise ConfigError(f"unknown setting {name!r}{nearest(key, known)}; settings here: {shown}")
        default = getattr(base, key) if base is not None else _default(known[key])
        group = hints[key] if default is None else type(default)
        if dataclasses.is_dataclass(group):
            if not isinstance(value, Mapping):
                inner = ", ".join(f"{name}.{f.name}" for f in _fields(group))
                raise ConfigError(f"{name!r} is a group of settings, got {value!r}; set one of {inner}")
            values[key] = _merge(group, default, value, f"{name}.")
        else:
            values[key] = _coerce(hints[key], value, name)
    try:
        return kind(**values) if base is None else dataclasses.replace(base, **values)  # type: ignore[type-var]
    except ConfigError as error:
        if "got" in str(error).split():
            raise
        raise ConfigError(f"{error}{_said(str(error), known, values, where)}") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where.rstrip('.') or kind.__name__.lower()}: {error}") from error


def _said(error: str, known: Mapping[str, dataclasses.Field[Any]], values: Mapping[str, Any], where: str) -> str:
    """What a person said of the settings that an error speaks of, where it does not say itself what came."""
    named = {key: value for key, value in values.items() if re.search(rf"\b{key}\b", error)}
    changed = [f"{where}{key}={_show(value)}" for key, value in named.items() if value != _default(known[key])]
    return f"; got {', '.join(changed)}" if changed else ""


def _coerce(hint: Any, value: Any, name: str) -> Any:
    """The value as its type, from YAML's own types or from text. Raises ConfigError saying what was expected."""
    origin, options = get_origin(hint), get_args(hint)
    text = value.strip() if isinstance(value, str) else None
    if origin in (Union, types.UnionType):
        if type(None) in options and (value is None or text in ("none", "null")):
            return None
        return _coerce(next(o for o in options if o is not type(None)), value, name)
    if origin is Literal:
        found = next((o for o in options if o == value or str(o) == text), None)
        if found is None:
            raise _wrong(name, "one of " + ", ".join(map(str, options)), value, nearest(str(value), map(str, options)))
        return found
    if origin in (tuple, Sequence):
        items = [part.strip() for part in text.split(",") if part.strip()] if text is not None else value
        if not isinstance(items, (list, tuple)):
            raise _wrong(name, "a list (a,b,c)", value)
        return tuple(_coerce(options[0], item, f"{name}[{i}]") for i, item in enumerate(items))
    if hint is bool:
        table = {"true": True, "false": False, "yes": True, "no": False}
        if isinstance(value, bool) or (text or "").lower() in table:
            return value if isinstance(value, bool) else table[text.lower()]  # type: ignore[union-attr]
        raise _wrong(name, "true or false", value)
    if hint in (int, float) and not isinstance(value, bool):
        try:
            number = float(text.replace("_", "")) if text is not None else float(value)
        except (TypeError, ValueError):
            raise _wrong(name, "a whole number" if hint is int else "a number", value) from None
        if not math.isfinite(number):
            raise _wrong(name, "a finite number", value)
        if hint is int and number != int(number):
            raise _wrong(name, "a whole number", value)
        return int(number) if hint is int else number
    if hint is str and isinstance(value, str):
        return value
    raise _wrong(name, _words(hint), value)


def _wrong(name: str, expected: str, value: Any, hint: str = "") -> ConfigError:
    return ConfigError(f"{name}: expected {expected}, got {value!r}{hint}")


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else None


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_spec(value)
    return list(value) if isinstance(value, tuple) else value


def _fields(kind: type) -> tuple[dataclasses.Field[Any], ...]:
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is not a dataclass, so it has no settings")
    return dataclasses.fields(kind)


def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _comments(kind: type) -> dict[str, str]:
    """The comment on the line of each field of this class itself, read from the source."""
    try:
        source = inspect.cleandoc("\n" + inspect.getsource(kind))
        tree = ast.parse(source).body[0]
        comments = {
            t.start[0]: t.string for t in tokenize.generate_tokens(StringIO(source).readline) if t.type == tokenize.COMMENT
        }
    except (OSError, SyntaxError, tokenize.TokenError):
        return {}
    assert isinstance(tree, ast.ClassDef)
    lines = {n.target.id: n.end_lineno for n in tree.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    clean = {name: re.sub(r"^#\s*", "", comments[line]) for name, line in lines.items() if line in comments}
    return {name: text for name, text in clean.items() if not text.startswith(("noqa", "type:"))}


def _words(hint: Any) -> str:
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(o) for o in options)
    if origin is Literal:
        return " | ".join(map(str, options))
    if origin in (tuple, Sequence):
        return f"list of {_words(options[0])}"
    names = {int: "whole number", float: "number", str: "text", bool: "true | false", type(None): "none"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_show, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_yaml(v) for v in value) + "]"
    if isinstance(value, str):
        return value if re.fullmatch(r"[A-Za-z_./][\w./:-]*", value) and value not in ("true", "false", "null") else repr(value)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
