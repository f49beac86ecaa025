"""JSON Schemas of the policy: compiled once, without the network, in linear time; and JSON that is read strictly.

A schema may refer to itself only (`#/...`): a reference to an address would make the guard fetch what somebody else can
change. Its patterns are run by a linear engine. JSON with a key twice is refused, since two readers may take different ones
of the two.

>>> compiled('{"type": "integer"}').is_valid(strict_json("3"))
True
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema_rs

LONGEST = 1_000_000  # characters of JSON that are read


class UnreadableError(ValueError):
    """A text that is not JSON, or not only one thing."""


def compiled(schema: str) -> jsonschema_rs.Validator:
    """A validator of a schema, given as JSON text or as the path of a file. Raises ValueError saying what is wrong with it."""
    text = schema if schema.lstrip().startswith(("{", "true", "false")) else Path(schema).read_text(encoding="utf-8")
    rules = strict_json(text)
    outside = next((ref for ref in _references(rules) if not ref.startswith("#")), None)
    if outside is not None:
        raise UnreadableError(f"expected references within the schema (#/...), got {outside!r}; copy what it names into $defs")
    if rules is False:
        raise UnreadableError("expected a schema that something satisfies, got false")
    return jsonschema_rs.validator_for(rules, offline=True, pattern_options=jsonschema_rs.RegexOptions())


def strict_json(text: str) -> object:
    """The value of a JSON text. Raises UnreadableError: it is no JSON, has a key twice, is too long or too deep."""
    if len(text) > LONGEST:
        raise UnreadableError(f"expected at most {LONGEST} characters of JSON, got {len(text)}")
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError as error:
        raise UnreadableError("expected JSON of reasonable depth, got a deeper one") from error
    except json.JSONDecodeError as error:
        raise UnreadableError(f"expected JSON: {error.msg} at character {error.pos}") from error
    except UnreadableError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise UnreadableError("expected JSON with numbers of reasonable length") from error


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise UnreadableError("expected each key once, got one twice")
    return value


def _no_constant(name: str) -> object:
    raise UnreadableError(f"expected JSON, got {name}")


def _references(value: object) -> Iterator[str]:
    """Every $ref of a schema, and every $schema or $id that would have to be fetched; a loop, since schemas may be deep."""
    rest = [value]
    while rest:
        here = rest.pop()
        if isinstance(here, dict):
            yield from (here[key] for key in ("$ref", "$dynamicRef", "$recursiveRef") if isinstance(here.get(key), str))
            rest.extend(here.values())
        elif isinstance(here, list):
            rest.extend(here)
