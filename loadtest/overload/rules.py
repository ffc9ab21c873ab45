"""What was promised for an overload, held against the figures; and whether they say anything at all."""

import statistics
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from loadtest.crowd.lateness import LATE_FRACTION_CEILING
from loadtest.overload.figures import Figures

SHARE_OF_CAPACITY: Final = 0.8
REFUSED_WITHIN_MS: Final = 50.0
# The patience of a balancer's check, unless it is told otherwise.
RESPONSIVE_MS: Final = 1000.0
# Once the queue is full, more time must not mean more memory.
_MEMORY_GROWTH: Final = 1.1
_WAITS_AT_MOST_MS: Final = 4000.0


class Bottleneck(StrEnum):
    """What is overloaded: a slow server behind the gateway, or the gateway's own core."""

    SERVER = "server"
    GATEWAY = "gateway"


def median(rounds: Sequence[Figures], of: Callable[[Figures], float]) -> float:
    """Over the rounds."""
    return statistics.median(map(of, rounds))


def broken(rounds: Sequence[Figures], bottleneck: Bottleneck) -> list[str]:
    """A sentence for each promise that was not kept."""
    share = median(rounds, lambda each: each.share_of_capacity)
    growth = median(rounds, lambda each: each.memory.second_half / max(each.memory.first_half, 1.0))
    found = {
        f"granted claims per second fell to {share:.0%} of the capacity": share < SHARE_OF_CAPACITY,
        f"the gateway's memory went on growing, to {growth:.2f} times what it was": growth > _MEMORY_GROWTH,
    }
    # Requests that wait in the kernel for the gateway's core are beyond what an answer could shorten.
    if bottleneck is Bottleneck.SERVER:
        found |= _of_a_slow_server(rounds)
    return [sentence for sentence, is_broken in found.items() if is_broken]


def wrong(rounds: Sequence[Figures]) -> list[str]:
    """A sentence where people were told anything but yes, and to ask again."""
    told = sum(each.wrong for each in rounds)
    return [f"{told:,} answers were neither 201 nor 503"] if told else []


def _of_a_slow_server(rounds: Sequence[Figures]) -> dict[str, bool]:
    refused = median(rounds, lambda each: each.refusals.p99_ms)
    slowest = max(each.grants.p99_ms for each in rounds)
    found = {
        f"503 was answered in {refused:.0f} ms at p99": refused >= REFUSED_WITHIN_MS,
        f"claims were granted after {slowest:,.0f} ms at p99": slowest > _WAITS_AT_MOST_MS,
        "it was not seen that all was as before": any(each.recovery_seconds is None for each in rounds),
    }
    for name in rounds[0].probes:
        p99 = median(rounds, lambda each, name=name: each.probes[name].p99_ms)  # type: ignore[misc]
        failed = sum(each.probes[name].failed for each in rounds)
        found[f"{name}: {p99:,.0f} ms at p99, and {failed} looks not answered 200"] = p99 >= RESPONSIVE_MS or failed > 0
    return found


def invalid(rounds: Sequence[Figures], bottleneck: Bottleneck) -> list[str]:
    """A sentence for each reason why the figures say nothing."""
    if bottleneck is Bottleneck.GATEWAY:
        return []
    late, starved = max(each.late for each in rounds), max(each.starved for each in rounds)
    if late <= LATE_FRACTION_CEILING:
        return []
    more = f", {starved:.1%} as no connection was free: give it more --connections" if starved > late / 2 else ""
    return [f"{late:.1%} of the requests left more than 10 ms late{more}"]
