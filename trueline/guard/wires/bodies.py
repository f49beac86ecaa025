"""The rim: from a stranger's bytes to a tree of JSON that has one meaning, whoever parses it.

A guard that reads a body otherwise than the server behind it guards nothing. So whatever two parsers may understand in two ways
is refused here: a key that stands twice, NaN, half of a surrogate pair, bytes that are not UTF-8, nesting without an end
(RFC 8259, 4 and 8; https://seriot.ch/projects/parsing_json.html has the zoo).

>>> read_object(b'{"model": "m"}')
{'model': 'm'}
>>> refuse_twice(b'{"role": "user", "role": "system"}', keys=1)
Traceback (most recent call last):
    ...
trueline.guard.wires.bodies.WireError: expected each key once in an object, got 'role' twice; send it once
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import orjson

Json = dict[str, Any]
DEEPEST = 96  # objects and lists within each other
# The end of a key. A quote behind a backslash is none, unless two of them stand there: this may count too many, never too few.
_KEY_END = re.compile(rb'"(?:(?<!\\")|(?<=\\\\"))[ \t\r\n]*+:')


class WireError(ValueError):
    """A body that is not what its format says; `status` is what HTTP says to that, `param` the field."""

    def __init__(self, message: str, *, status: int = 400, param: str = "", code: str = "invalid_request") -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    @property
    def message(self) -> str:
        """What was expected, what came, what to do next."""
        return str(self)


def read_object(body: bytes, status: int = 400) -> Json:
    """The JSON object of a body; keys that stand twice are seen by `refuse_twice`. Raises WireError with that status."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WireError(
            f"expected a body of JSON, got something else: {error.msg}", status=status, code="invalid_json"
        ) from None
    if type(tree) is not dict:
        raise WireError(f"expected a JSON object, got {kind(tree)}; send an object", status=status, code="invalid_json")
    return tree


def refuse_twice(body: bytes, keys: int, status: int = 400) -> None:
    """Raise WireError where an object has a key twice; `keys` is how many the parsed tree has, which keeps one of each.

    Counting colons, and then ends of keys, is fast and never counts too few, so where the numbers are equal there is no double.
    Text can look like a key; only then is the body read again, pair by pair.
    """
    if body.count(b":") != keys and len(_KEY_END.findall(body)) != keys:
        try:
            json.loads(body, object_pairs_hook=_once)
        except WireError as error:
            error.status = status
            raise


def kind(value: object) -> str:
    """What a value of JSON is called."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def member(tree: Json, name: str, *types: type, param: str = "", status: int = 400) -> Any:
    """A member that has one of these types, or is absent or null (None). Raises WireError."""
    value = tree.get(name)
    if value is None or type(value) in types:
        return value
    wanted = " or ".join(kind(t()) for t in types)
    raise WireError(f"expected {param or name} to be {wanted}, got {kind(value)}", param=param or name, status=status)


def objects(tree: Json, name: str, param: str = "", status: int = 400) -> list[Json]:
    """A list of objects; absent and null are the empty list. Raises WireError."""
    found = member(tree, name, list, param=param, status=status) or []
    for index, item in enumerate(found):
        if type(item) is not dict:
            where = f"{param or name}[{index}]"
            raise WireError(f"expected {where} to be an object, got {kind(item)}", param=where, status=status)
    return found


def _once(pairs: Sequence[tuple[str, object]]) -> Json:
    seen: Json = {}
    for key, value in pairs:
        if key in seen:
            raise WireError(f"expected each key once in an object, got {key[:60]!r} twice; send it once", code="invalid_json")
        seen[key] = value
    return seen
