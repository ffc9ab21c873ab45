"""Rounds and merged counts in Prometheus' text format, written by prometheus-client. No identity is ever a label."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from claimd.domain.rounds import Round, Status
from claimd.metrics.counts import Histogram
from claimd.metrics.tally import Tally
from claimd.store.ports import RecentRounds

_HISTOGRAMS = {
    "latency_seconds": ("claimd_claim_latency_seconds", "From a claim's arrival at the engine to its decision."),
    "round_trip_seconds": ("claimd_server_round_trip_seconds", "One script call, from sending to its reply."),
    "batch_claims": ("claimd_batch_claims", "Claims decided by one script call."),
}


def exposition(rounds: RecentRounds | None, counted: Tally | None) -> bytes:
    """The body of `GET /metrics`.

    Either argument is None where it could not be read: then its families are left out, as stale values would mislead.
    """
    families = [_server_up(rounds is not None or counted is not None)]
    if rounds is not None:
        families += _round_families(rounds.rounds, rounds.now_ms)
        families.append(_left_out(rounds.left_out))
    if counted is not None:
        families += _count_families(counted, None if rounds is None else {item.id for item in rounds.rounds})
    return _text(families)


def round_exposition(item: Round, now_ms: int, counted: Tally) -> bytes:
    """The body of `GET /metrics?round=`: that round alone, without the counts over all rounds."""
    claims, _ = _claims_families(counted, {item.id})
    return _text([*_round_families([item], now_ms), claims])


def _text(families: list[Metric]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _server_up(is_up: bool) -> Metric:
    return GaugeMetricFamily(
        "claimd_server_up", "1 if the server answered this scrape, 0 if nothing is known.", value=float(is_up)
    )


def _round_families(rounds: Sequence[Round], now_ms: int) -> Iterator[Metric]:
    packs = GaugeMetricFamily("claimd_stock_packs", "Packs of a round.", labels=["round"])
    # A gauge with a counter's name, for dashboards made for version 0.1.
    total = GaugeMetricFamily("claimd_stock_total", "Deprecated: see claimd_stock_packs.", labels=["round"])
    issued = GaugeMetricFamily("claimd_stock_issued", "Packs granted.", labels=["round"])
    remaining = GaugeMetricFamily("claimd_stock_remaining", "Packs left.", labels=["round"])
    status = GaugeMetricFamily("claimd_round_status", "1 for the status a round has.", labels=["round", "status"])
    sold_out = GaugeMetricFamily(
        "claimd_round_sold_out_timestamp_seconds", "When the last pack was granted.", labels=["round"]
    )
    for item in rounds:
        packs.add_metric([item.id], item.definition.total)
        total.add_metric([item.id], item.definition.total)
        issued.add_metric([item.id], item.held)
        remaining.add_metric([item.id], item.remaining)
        for possible in Status:
            status.add_metric([item.id, possible], float(item.status(now_ms) is possible))
        if item.remaining <= 0 and item.last_grant_ms:
            sold_out.add_metric([item.id], item.last_grant_ms / 1000)
    yield from (packs, total, issued, remaining, status, sold_out)


def _left_out(number: int) -> Metric:
    return GaugeMetricFamily("claimd_rounds_left_out", "Rounds that are too many to be shown here.", value=number)


def _claims_families(counted: Tally, listed: set[str] | None) -> tuple[Metric, Metric]:
    """Claims of the rounds in `listed` (None: all), and the sum over the others, whose number only grows."""
    claims = CounterMetricFamily("claimd_claims", "Claims by what became of them.", labels=["round", "outcome"])
    settled = Counter(counted.settled)
    for (round_id, outcome), n in sorted(counted.counts.claims.items()):
        if listed is None or round_id in listed:
            claims.add_metric([round_id, outcome], n)
        else:
            settled[outcome] += n
    return claims, _by_label(
        "claimd_claims_settled", "Claims of rounds that are not listed any more.", "outcome", settled
    )


def _count_families(counted: Tally, listed: set[str] | None) -> Iterator[Metric]:
    counts = counted.counts
    yield from _claims_families(counted, listed)
    yield _by_label("claimd_refusals", "Requests refused before a batch, by code.", "code", counts.refusals)
    yield _by_label(
        "claimd_unauthenticated", "Requests without valid credentials, by reason.", "reason", counts.unauthenticated
    )
    yield CounterMetricFamily(
        "claimd_server_calls_failed", "Batches that had to be asked again, or given up.", value=counts.failed_calls
    )
    for name, histogram in counts.histograms().items():
        yield _histogram_family(*_HISTOGRAMS[name], histogram)
    yield GaugeMetricFamily("claimd_queue_depth", "Claims that wait for a batch.", value=counted.waiting)
    yield GaugeMetricFamily("claimd_gateways", "Gateway processes that report.", value=counted.gateways)
    yield GaugeMetricFamily(
        "claimd_counts_unreadable", "Saved counts that are not, or not wholly, in this.", value=counted.unreadable
    )


def _by_label(name: str, help_text: str, label: str, counts: Counter[str]) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=[label])
    for value, n in sorted(counts.items()):
        family.add_metric([value], n)
    return family


def _histogram_family(name: str, help_text: str, histogram: Histogram) -> Metric:
    cumulative, buckets = 0, []
    for bound, count in zip([*map(str, histogram.bounds), "+Inf"], histogram.counts, strict=True):
        cumulative += count
        buckets.append((bound, float(cumulative)))
    return HistogramMetricFamily(name, help_text, buckets=buckets, sum_value=histogram.total)
