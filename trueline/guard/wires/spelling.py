"""What stands beside a text and spells it again: log-probabilities token by token, annotations that count its characters.

Where a text is edited, they go.

>>> spelled({"choices": [{"text": "secret", "logprobs": {"tokens": ["secret"]}}]}, [("choices", 0, "text")])
{('choices', 0, 'logprobs'): b'null'}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trueline.guard.exchange import KEY, Path
from trueline.guard.wires.spans import outer

SPELLINGS = ("logprobs", "annotations", "citations")


def spelled(tree: Any, paths: Iterable[Path]) -> dict[Path, bytes]:
    """Beside texts that change: where their spellings stand, with the JSON to put there."""
    empty: dict[Path, bytes] = {}
    for path in map(outer, paths):
        for up in (path[:-1], path[:-2]) if path[-1] != KEY else ():
            node = _at(tree, up)
            for name in SPELLINGS if isinstance(node, dict) else ():
                if node.get(name):
                    empty[*up, name] = b"[]" if isinstance(node[name], list) else b"null"
    return empty


def _at(tree: Any, path: Path) -> Any:
    for word in path:
        tree = tree[word]
    return tree
