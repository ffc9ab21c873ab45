"""Feeds Locust's own statistics in bulk, so that its web page, CSV files and summary show the crowd's true figures.

Locust's `request` event costs more per request than everything else the crowd does; once a second, a histogram at a
time, it costs next to nothing. Response times are from the intended time, as everywhere here.
"""

import time
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from locust.env import Environment
from locust.stats import RequestStats, StatsEntry, StatsError, bucket_response_time

from loadtest.client.answers import UNKNOWN, is_one_of
from loadtest.crowd.arrivals import Floats
from loadtest.crowd.schedule import Kind

Codes = npt.NDArray[np.integer[Any]]

_FAILURE: Final = "a wrong answer; the report lists them"
_NAMES: Final = {
    Kind.CLAIM: ("POST", "claim"),
    Kind.AGAIN: ("POST", "claim: double tap"),
    Kind.EARLY: ("POST", "claim: early bird"),
    Kind.BAD: ("POST", "claim: bad pass"),
    Kind.ROUND: ("GET", "round"),
    Kind.PASS: ("POST", "pass"),
    Kind.LOOK: ("GET", "round again"),
    Kind.MINE: ("GET", "claims/me"),
}


def feed(environment: Environment, kinds: Codes, answers: Codes, latency_seconds: Floats) -> None:
    """Add answers to Locust's statistics: columns of each request's `Kind`, its `Answer` and its latency."""
    stats = environment.stats
    wrong = is_one_of(answers, UNKNOWN)
    for kind, (method, name) in _NAMES.items():
        mine = kinds == kind
        if mine.any():
            _add(stats, method, name, latency_seconds[mine] * 1000, int(np.count_nonzero(wrong & mine)))


def _add(stats: RequestStats, method: str, name: str, latency_ms: Floats, failures: int) -> None:
    now = time.time()
    whole, counts = np.unique(np.maximum(latency_ms, 0).astype(np.int64), return_counts=True)
    for entry in (stats.total, stats.entries[(name, method)]):
        _add_to_entry(entry, now, latency_ms, whole.tolist(), counts.tolist(), failures)
    if failures:
        key = StatsError.create_key(method, name, _FAILURE)
        error = stats.errors.setdefault(key, StatsError(method, name, _FAILURE))
        error.occurred()
        error.occurrences += failures - 1


def _add_to_entry(
    entry: StatsEntry, now: float, latency_ms: Floats, whole: list[int], counts: list[int], failures: int
) -> None:
    second = int(now)
    if entry.use_response_times_cache and entry.last_request_timestamp and second > int(entry.last_request_timestamp):
        entry._cache_response_times(second - 1)  # noqa: SLF001 - what StatsEntry.log does when a second begins
    entry.num_requests += len(latency_ms)
    entry.num_failures += failures
    entry.num_reqs_per_sec[second] += len(latency_ms)
    if failures:
        entry.num_fail_per_sec[second] += failures
    entry.last_request_timestamp = now
    entry.total_response_time += int(latency_ms.sum())
    entry.max_response_time = max(entry.max_response_time, whole[-1])
    entry.min_response_time = whole[0] if entry.min_response_time is None else min(entry.min_response_time, whole[0])
    for value, count in zip(whole, counts, strict=True):
        entry.response_times[bucket_response_time(value)] += count
