"""Rounds and merged counts in Prometheus' text format, written by prometheus-client. No identity is ever a label."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from claimd.domain.rounds import Round, Status
from claimd.metrics.counts import Counts, Histogram, Snapshot

# A worker reports every second; one that has been silent for longer has no queue any more.
_FRESH_MS = 10_000

_HISTOGRAMS = {
    "latency_seconds": ("claimd_claim_latency_seconds", "From a claim's arrival at the engine to its decision."),
    "round_trip_seconds": ("claimd_server_round_trip_seconds", "One script call, from sending to its reply."),
    "batch_claims": ("claimd_batch_claims", "Claims decided by one script call."),
}


def exposition(snapshots: Iterable[Snapshot], now_ms: int, rounds: Sequence[Round]) -> bytes:
    """The text that `GET /metrics` answers. `now_ms` is the server's clock."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families([*_round_families(rounds, now_ms), *_count_families(list(snapshots), now_ms)]))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _round_families(rounds: Sequence[Round], now_ms: int) -> Iterator[Metric]:
    total = GaugeMetricFamily("claimd_stock_total", "Packs of a round.", labels=["round"])
    issued = GaugeMetricFamily("claimd_stock_issued", "Packs granted.", labels=["round"])
    remaining = GaugeMetricFamily("claimd_stock_remaining", "Packs left.", labels=["round"])
    status = GaugeMetricFamily("claimd_round_status", "1 for the status a round has.", labels=["round", "status"])
    sold_out = GaugeMetricFamily(
        "claimd_round_sold_out_timestamp_seconds", "When the last pack was granted.", labels=["round"]
    )
    for item in rounds:
        total.add_metric([item.id], item.definition.total)
        issued.add_metric([item.id], item.issued)
        remaining.add_metric([item.id], item.remaining)
        for possible in Status:
            status.add_metric([item.id, possible], float(item.status(now_ms) is possible))
        if item.remaining <= 0 and item.last_grant_ms:
            sold_out.add_metric([item.id], item.last_grant_ms / 1000)
    yield from (total, issued, remaining, status, sold_out)


def _count_families(snapshots: list[Snapshot], now_ms: int) -> Iterator[Metric]:
    merged = Counts()
    for snapshot in snapshots:
        merged.merge(snapshot.counts)
    claims = CounterMetricFamily("claimd_claims", "Claims by what became of them.", labels=["round", "outcome"])
    for (round_id, outcome), n in sorted(merged.claims.items()):
        claims.add_metric([round_id, outcome], n)
    yield claims
    refusals = CounterMetricFamily("claimd_refusals", "Requests refused before a batch, by code.", labels=["code"])
    for code, n in sorted(merged.refusals.items()):
        refusals.add_metric([code], n)
    yield refusals
    yield CounterMetricFamily(
        "claimd_server_calls_failed", "Batches that had to be asked again, or given up.", value=merged.failed_calls
    )
    for name, histogram in merged.histograms().items():
        yield _histogram_family(*_HISTOGRAMS[name], histogram)
    fresh = [snapshot for snapshot in snapshots if now_ms - snapshot.at_ms < _FRESH_MS]
    yield GaugeMetricFamily(
        "claimd_queue_depth", "Claims that wait for a batch.", value=sum(item.counts.queue_depth for item in fresh)
    )
    yield GaugeMetricFamily("claimd_gateways", "Gateway processes that report.", value=len(fresh))


def _histogram_family(name: str, help_text: str, histogram: Histogram) -> Metric:
    cumulative, buckets = 0, []
    for bound, count in zip([*map(str, histogram.bounds), "+Inf"], histogram.counts, strict=True):
        cumulative += count
        buckets.append((bound, float(cumulative)))
    return HistogramMetricFamily(name, help_text, buckets=buckets, sum_value=histogram.total)
