"""The rules for an overload: which figures are violations, and which make the measurement invalid."""

import statistics
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from loadtest.crowd.lateness import LATE_FRACTION_CEILING
from loadtest.overload.figures import Figures

SHARE_OF_CAPACITY: Final = 0.8
REFUSED_WITHIN_MS: Final = 50.0
# The default timeout of a load balancer's check.
RESPONSIVE_MS: Final = 1000.0
# The queue is full after the first half, so memory must not grow in the second.
_MEMORY_GROWTH: Final = 1.1
_GRANTED_WITHIN_MS: Final = 4000.0


class Bottleneck(StrEnum):
    """The overloaded part: a slow server behind the gateway, or the gateway's own core."""

    SERVER = "server"
    GATEWAY = "gateway"


def median(rounds: Sequence[Figures], of: Callable[[Figures], float]) -> float:
    """Return the median of a figure over the rounds."""
    return statistics.median(map(of, rounds))


def broken(rounds: Sequence[Figures], bottleneck: Bottleneck) -> list[str]:
    """Return a sentence for each rule that was broken."""
    share = median(rounds, lambda each: each.share_of_capacity)
    growth = median(rounds, lambda each: each.memory.second_half / max(each.memory.first_half, 1.0))
    found = {
        f"granted claims per second fell to {share:.0%} of the capacity": share < SHARE_OF_CAPACITY,
        f"the gateway's memory grew in the second half of the overload, by a factor of {growth:.2f}": growth
        > _MEMORY_GROWTH,
    }
    # An overloaded core leaves requests waiting in the kernel, where the gateway cannot reject them.
    if bottleneck is Bottleneck.SERVER:
        found |= _of_a_slow_server(rounds)
    return [sentence for sentence, is_broken in found.items() if is_broken]


def wrong(rounds: Sequence[Figures]) -> list[str]:
    """Return a sentence if there were answers other than 201 and 503."""
    number = sum(each.wrong for each in rounds)
    return [f"{number:,} answers were neither 201 nor 503"] if number else []


def _of_a_slow_server(rounds: Sequence[Figures]) -> dict[str, bool]:
    refused = median(rounds, lambda each: each.refusals.p99_ms)
    slowest = max(each.grants.p99_ms for each in rounds)
    found = {
        f"503 was answered in {refused:.0f} ms at p99": refused >= REFUSED_WITHIN_MS,
        f"claims were granted after {slowest:,.0f} ms at p99": slowest > _GRANTED_WITHIN_MS,
        "an ordinary load was not served as before by the end": any(each.recovery_seconds is None for each in rounds),
    }
    for name in rounds[0].probes:
        p99 = median(rounds, lambda each, name=name: each.probes[name].p99_ms)  # type: ignore[misc]
        failed = sum(each.probes[name].failed for each in rounds)
        found[f"{name}: {p99:,.0f} ms at p99, and {failed} probes not answered 200"] = (
            p99 >= RESPONSIVE_MS or failed > 0
        )
    return found


def invalid(rounds: Sequence[Figures], bottleneck: Bottleneck) -> list[str]:
    """Return a sentence for each reason why the figures are not valid."""
    if bottleneck is Bottleneck.GATEWAY:
        return []
    late, starved = max(each.late for each in rounds), max(each.starved for each in rounds)
    if late <= LATE_FRACTION_CEILING:
        return []
    more = f", {starved:.1%} for want of a free connection: raise --connections" if starved > late / 2 else ""
    return [f"{late:.1%} of the requests left more than 10 ms late{more}"]
