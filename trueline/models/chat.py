"""Chat templates, rendered as `transformers` renders them, without importing it.

A template comes from outside, so it runs in jinja's sandbox and sees plain data alone: text, numbers, lists and mappings.
`tests/models/test_tokenizer.py` compares what is rendered with what the installed `transformers` renders.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.ext
import jinja2.sandbox
from jinja2.exceptions import SecurityError, TemplateError


def render(
    template: str,
    messages: Sequence[Mapping[str, object]],
    tools: Sequence[Mapping[str, object]] | None,
    generation: bool,
    special: Mapping[str, str],
) -> str:
    """The text of a conversation; `generation` opens an assistant turn at its end, `special` names tokens such as bos_token."""
    if not messages:
        raise ValueError("a chat template needs at least one message")
    said = [{key: _plain(value) for key, value in message.items() if value is not None} for message in messages]
    told = None if tools is None else _plain(tools)
    return _compiled(template).render(
        messages=said, tools=told, documents=None, add_generation_prompt=generation, **dict(special)
    )


class Generation(jinja2.ext.Extension):
    """`{% generation %}`, with which some templates mark the assistant's words: what is inside is rendered as it stands."""

    tags = {"generation"}

    def parse(self, parser: Any) -> Any:
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_inside"), [], [], body).set_lineno(line)

    def _inside(self, caller: Any) -> str:
        return caller()


class Dict:
    """`dict` for templates, whose attributes lead nowhere."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


class Namespace(jinja2.utils.Namespace):
    """`namespace` for templates, which refuses names that begin with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # as jinja's own, so that `namespace(self=...)` works
        self, values = args[0], dict(*args[1:], **kwargs)
        for name in values:
            _checked(name)
        jinja2.utils.Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: object) -> None:
        super().__setitem__(_checked(name), value)


@lru_cache(maxsize=32)
def _compiled(template: str) -> jinja2.Template:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals |= {"raise_exception": _refuse, "strftime_now": _now, "dict": Dict(), "namespace": Namespace}
    return environment.from_string(template)


def _plain(value: object) -> Any:
    """The same data in exact types, so that no method of a richer one can be reached. Raises TypeError for anything else."""
    if isinstance(value, str):
        return str.__str__(value)
    if value is None or type(value) in (int, float, bool):
        return value
    if isinstance(value, Mapping):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    raise TypeError(f"a chat template takes text, numbers, lists and mappings, got {type(value).__name__}")


def _checked(name: str) -> str:
    if name.startswith("_"):
        raise SecurityError(f"a chat template may not store {name!r} on a namespace")
    return name


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Without the escapes for HTML that jinja's own filter makes."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)
