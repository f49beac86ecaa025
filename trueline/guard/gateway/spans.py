"""One OpenTelemetry span for each exchange, by the conventions for generative AI, where `guard serve --otel` asks for them.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ (in development: names may still change). What a span says of
the guard is under `trueline.*`; each rail that did not simply allow is an event `gen_ai.evaluation.result`. No text of an
exchange is in it. Where spans go is OpenTelemetry's own environment: OTEL_EXPORTER_OTLP_ENDPOINT and its kin.

    spans = Spans(tracer=otlp_tracer())
    spans.record(exchange, began, outcomes, tokens, about)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from trueline.guard.audit.record import LONGEST, Usage
from trueline.guard.chain import Outcome
from trueline.guard.exchange import Exchange

EXTRA = "expected opentelemetry-sdk and its OTLP exporter, and found no {}; pip install 'trueline[otel]'"
OPERATIONS = {"responses": "chat", "messages": "chat", "completions": "text_completion"}  # else the endpoint's name
SERVER = 1  # opentelemetry.trace.SpanKind.SERVER, known without loading it


class Span(Protocol):
    """What is used of a span."""

    def add_event(self, name: str, attributes: Mapping[str, Any]) -> None: ...

    def end(self, end_time: int) -> None: ...


class Tracer(Protocol):
    """What is used of a tracer."""

    def start_span(self, name: str, *, kind: Any, attributes: Mapping[str, Any], start_time: int) -> Span: ...


@dataclass(frozen=True, kw_only=True)
class Spans:
    """Writes exchanges to a tracer; `kind` is what the tracer's library calls a server's span."""

    tracer: Tracer
    kind: Any = SERVER

    def record(
        self,
        exchange: Exchange,
        *,
        began: int,
        ended: int,
        outcomes: Sequence[Outcome],
        tokens: Usage,
        about: Mapping[str, Any],
    ) -> None:
        """One exchange, from and to in nanoseconds since 1970; `about` goes under `trueline.`."""
        operation, model = OPERATIONS.get(exchange.endpoint, exchange.endpoint), exchange.model[:LONGEST]
        attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": model,
            "gen_ai.usage.input_tokens": tokens.input,
            "gen_ai.usage.output_tokens": tokens.output,
            **{f"trueline.{name}": value for name, value in about.items() if value is not None},
        }
        span = self.tracer.start_span(f"{operation} {model}", kind=self.kind, attributes=attributes, start_time=began)
        for outcome in outcomes:
            for ruling in outcome.rulings:
                said = ruling.decision
                if said.action != "allow" or said.status != "ran":
                    told = {"gen_ai.evaluation.name": said.by, "gen_ai.evaluation.score.label": said.action}
                    told["gen_ai.evaluation.explanation"] = said.why[:LONGEST]
                    more = {"trueline.side": outcome.side, "trueline.status": said.status}
                    span.add_event("gen_ai.evaluation.result", {**told, **more})
        span.end(ended)


def otlp_spans() -> Spans:
    """Spans that go where OpenTelemetry's environment says. Raises ValueError where its libraries are not installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind
    except ModuleNotFoundError as missing:
        raise ValueError(EXTRA.format(missing.name)) from None
    provider = TracerProvider(resource=Resource.create({"service.name": "trueline-guard"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Spans(tracer=provider.get_tracer("trueline.guard"), kind=SpanKind.SERVER)
