"""Counts of tokens, as they may be told again: an upstream's usage is preserved where its words are not.

>>> usage_of(b'{"usage": {"prompt_tokens": 3, "secret": 5, "prompt_tokens_details": {"cached_tokens": 1}}}')
{'prompt_tokens': 3, 'prompt_tokens_details': {'cached_tokens': 1}}
"""

from __future__ import annotations

import orjson

from trueline.guard.wires.bodies import Json
from trueline.guard.wires.parts import USAGE


def usage_of(reply: bytes) -> Json | None:
    """The counts that an upstream's reply tells; None where it tells none."""
    try:
        tree = orjson.loads(reply)
    except orjson.JSONDecodeError:
        return None
    return counts(tree.get("usage")) if isinstance(tree, dict) else None


def counts(usage: object) -> Json | None:
    """Of a usage, whole numbers under names that the formats know, and nothing else of it."""
    if not isinstance(usage, dict):
        return None
    known: Json = {}
    for name, value in usage.items():
        if name in USAGE.fields and (type(value) is int or isinstance(value, dict)):
            known[name] = counts(value) if isinstance(value, dict) else value
    return known
