"""What the gateway counts, as Prometheus reads it. Counting is an addition in a dictionary; the text is made when asked for.

    trueline_exchanges_total{endpoint, action}     trueline_rail_rulings_total{rail, side, action, status}
    trueline_rail_seconds_total{rail, side}        trueline_exchange_seconds{endpoint} (histogram)
    trueline_tokens_total{kind}                    trueline_in_flight, trueline_audit_pending_bytes
    trueline_compared_total{found}                 trueline_not_compared_total{why}

No label holds anything that a client sent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from trueline.guard.chain import Outcome

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)  # seconds


@dataclass(kw_only=True, eq=False)
class Metrics(Collector):
    """The counts of one process."""

    exchanges: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    rulings: dict[tuple[str, str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    rail_ms: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    seconds: dict[str, list[float]] = field(default_factory=dict)  # by endpoint: a count for each bound and beyond, and the sum
    tokens: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    compared: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # with a second policy: same, different
    not_compared: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # by the reason
    in_flight: int = 0
    pending: int = 0

    def judged(self, outcome: Outcome) -> None:
        """Count what each rail said of one side."""
        side = outcome.side
        for ruling in outcome.rulings:
            said = ruling.decision
            self.rulings[said.by, side, said.action, said.status] += 1
            self.rail_ms[said.by, side] += ruling.ms

    def took(self, endpoint: str, seconds: float) -> None:
        """Count how long one exchange took."""
        counts = self.seconds.setdefault(endpoint, [0.0] * (len(BOUNDS) + 2))
        counts[bisect_left(BOUNDS, seconds)] += 1
        counts[-1] += seconds

    def text(self) -> bytes:
        """The exposition format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client asks for it."""
        exchanges = CounterMetricFamily(
            "trueline_exchanges", "exchanges by their strictest word", labels=("endpoint", "action")
        )
        for labels, count in self.exchanges.items():
            exchanges.add_metric(labels, count)
        rulings = CounterMetricFamily(
            "trueline_rail_rulings", "what rails said, and whether they ran", labels=("rail", "side", "action", "status")
        )
        for rail, count in self.rulings.items():
            rulings.add_metric(rail, count)
        spent = CounterMetricFamily("trueline_rail_seconds", "time in rails", labels=("rail", "side"))
        for at, ms in self.rail_ms.items():
            spent.add_metric(at, ms / 1_000)
        tokens = CounterMetricFamily("trueline_tokens", "tokens, as the upstream counts them", labels=("kind",))
        for kind, count in self.tokens.items():
            tokens.add_metric((kind,), count)
        compared = CounterMetricFamily(
            "trueline_compared", "exchanges that a second policy judged too, by whether both decide alike", labels=("found",)
        )
        for found, count in self.compared.items():
            compared.add_metric((found,), count)
        missed = CounterMetricFamily("trueline_not_compared", "exchanges that it did not judge", labels=("why",))
        for why, count in self.not_compared.items():
            missed.add_metric((why,), count)
        took = HistogramMetricFamily("trueline_exchange_seconds", "from the first byte to the last", labels=("endpoint",))
        for endpoint, counts in self.seconds.items():
            took.add_metric((endpoint,), _buckets(counts[:-1]), counts[-1])
        yield from (exchanges, rulings, spent, tokens, compared, missed, took)
        yield GaugeMetricFamily("trueline_in_flight", "exchanges under way", value=self.in_flight)
        yield GaugeMetricFamily("trueline_audit_pending_bytes", "of the journal, not in the database yet", value=self.pending)


def _buckets(counts: list[float]) -> list[tuple[str, float]]:
    """Cumulative, as Prometheus wants them."""
    found, total = [], 0.0
    for bound, count in zip([*map(str, BOUNDS), "+Inf"], counts, strict=True):
        total += count
        found.append((bound, total))
    return found
