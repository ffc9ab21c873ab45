"""Samples of a round: its state and the counts of its claims as the console has them, and the rates that follow."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from claimd.cli.console_client import ConsoleClient
from claimd.domain.times import from_rfc3339, to_rfc3339
from claimd.errors import CommandError

_RATE_WINDOW_MS = 5_000


class Rate:
    """Readings of one counter that only grows. Units: milliseconds in, per second out."""

    def __init__(self) -> None:
        self._readings: deque[tuple[int, float]] = deque()

    def add(self, at_ms: int, value: float) -> None:
        """A reading; one that is not newer than the last is left out."""
        if self._readings and at_ms <= self._readings[-1][0]:
            return
        self._readings.append((at_ms, value))
        # The reading at the window's edge stays, or the rate would cover less than the whole window.
        while len(self._readings) > 2 and self._readings[1][0] <= at_ms - _RATE_WINDOW_MS:
            self._readings.popleft()

    def per_second(self) -> float:
        """The mean over the last seconds; 0 before there are two readings."""
        if len(self._readings) < 2:
            return 0.0
        (first_ms, first), (last_ms, last) = self._readings[0], self._readings[-1]
        return max(0.0, (last - first) * 1000 / (last_ms - first_ms))


@dataclass(frozen=True, slots=True)
class RoundSample:
    """`rates` is per second, by outcome; `seconds_to_sell_out` None while nothing moves or nothing is left."""

    state: dict[str, Any]
    now_ms: int
    grants_per_second: float
    outcomes: dict[str, int]
    rates: dict[str, float]
    seconds_to_sell_out: float | None
    sold_out_at_ms: int | None

    def as_document(self) -> dict[str, Any]:
        """For `--json`: one object, on one line."""
        names = ("id", "status", "total", "issued", "remaining", "opens_at", "closes_at")
        return {
            "time": to_rfc3339(self.now_ms),
            **{name: self.state[name] for name in names},
            "grants_per_second": round(self.grants_per_second, 1),
            "outcomes": self.outcomes,
            "seconds_to_sell_out": None if self.seconds_to_sell_out is None else round(self.seconds_to_sell_out, 1),
            "sold_out_at": None if self.sold_out_at_ms is None else to_rfc3339(self.sold_out_at_ms),
        }


@dataclass(slots=True)
class RoundWatcher:
    """A round under watch: remembers just enough to know how fast things go."""

    console: ConsoleClient
    round_id: str
    _issued: Rate = field(default_factory=Rate)
    _outcomes: dict[str, Rate] = field(default_factory=dict)

    async def sample(self) -> RoundSample:
        """The round now, with rates since earlier samples. Raises CommandError."""
        state = await self.console.round(self.round_id)
        outcomes, sold_out_at_ms = _counted(await self.console.metrics(self.round_id), self.round_id)
        now_ms = from_rfc3339(state["server_time"])
        self._issued.add(now_ms, state["issued"])
        for outcome, count in outcomes.items():
            self._outcomes.setdefault(outcome, Rate()).add(now_ms, count)
        speed = self._issued.per_second()
        remaining = state["remaining"]
        return RoundSample(
            state=state,
            now_ms=now_ms,
            grants_per_second=speed,
            outcomes=outcomes,
            rates={outcome: rate.per_second() for outcome, rate in self._outcomes.items()},
            seconds_to_sell_out=remaining / speed if speed > 0 and remaining > 0 else None,
            sold_out_at_ms=sold_out_at_ms if remaining <= 0 else None,
        )


def _counted(text: str, round_id: str) -> tuple[dict[str, int], int | None]:
    """The claims of a round by outcome, and when it was sold out, in ms: read from the text for Prometheus.

    The console has these figures there alone: a second form of them could differ.
    """
    outcomes: dict[str, int] = {}
    sold_out_at_ms = None
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError as error:
        raise CommandError(f"the console's metrics cannot be read: {error}") from None
    for family in families:
        for sample in family.samples:
            if sample.labels.get("round") != round_id:
                continue
            if sample.name == "claimd_claims_total":
                outcomes[sample.labels["outcome"]] = int(sample.value)
            elif sample.name == "claimd_round_sold_out_timestamp_seconds":
                sold_out_at_ms = round(sample.value * 1000)
    return outcomes, sold_out_at_ms
