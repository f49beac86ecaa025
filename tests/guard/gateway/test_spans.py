"""A span tells of an exchange what the conventions name, and nothing of what was said."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.guard.fakes import Finds, chain_of
from tests.guard.gateway.around import Upstream, ask, gateway, said
from trueline.guard.gateway.spans import Spans


@dataclass
class _Span:
    name: str
    attributes: Mapping[str, Any]
    start: int
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    ended: int = 0

    def add_event(self, name: str, attributes: Mapping[str, Any]) -> None:
        self.events.append((name, attributes))

    def end(self, end_time: int) -> None:
        self.ended = end_time


class _Tracer:
    def __init__(self) -> None:
        self.spans: list[_Span] = []

    def start_span(self, name: str, *, kind: Any, attributes: Mapping[str, Any], start_time: int) -> _Span:
        self.spans.append(_Span(name, attributes, start_time))
        return self.spans[-1]


def test_an_exchange_is_a_span_with_its_rulings_as_events(tmp_path: Path) -> None:
    """Operation, model and tokens by the conventions; the guard's word and id; an event for the rail that redacted."""

    async def run() -> tuple[_Span, str]:
        tracer = _Tracer()
        chain = chain_of(Finds(word="marrow", action="redact"), Finds(word="carrot", name="other"))
        app = gateway(tmp_path, chain, Upstream(body=said("a marrow")), spans=Spans(tracer=tracer))
        answer = await ask(app)
        await app.audit.close()
        (span,) = tracer.spans
        return span, answer.headers["x-trueline-id"]

    span, id_ = asyncio.run(run())
    assert span.name == "chat m"
    assert span.attributes["gen_ai.operation.name"] == "chat"
    assert span.attributes["gen_ai.usage.output_tokens"] == 2
    assert (span.attributes["trueline.id"], span.attributes["trueline.action"]) == (id_, "redact")
    ((name, event),) = span.events
    assert (name, event["gen_ai.evaluation.name"], event["gen_ai.evaluation.score.label"]) == (
        "gen_ai.evaluation.result", "finds", "redact",
    )  # fmt: skip
    assert 0 < span.start < span.ended
    assert "marrow" not in str(span)
    assert "hello" not in str(span)
