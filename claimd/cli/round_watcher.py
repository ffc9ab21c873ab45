"""One look at a round: what the console says of it, what its metrics count, and what follows from both."""

from dataclasses import dataclass, field
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from claimd.cli.console_client import Console
from claimd.cli.errors import CommandError
from claimd.cli.rate import Pace
from claimd.domain.times import from_rfc3339, to_rfc3339


@dataclass(frozen=True, slots=True)
class Look:
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
class Watched:
    """A round under watch: remembers just enough to know how fast things go."""

    console: Console
    round_id: str
    _issued: Pace = field(default_factory=Pace)
    _outcomes: dict[str, Pace] = field(default_factory=dict)

    async def look(self) -> Look:
        """Ask the console. Raises CommandError."""
        state = await self.console.round(self.round_id)
        outcomes, sold_out_at_ms = _counted(await self.console.metrics(self.round_id), self.round_id)
        now_ms = from_rfc3339(state["server_time"])
        self._issued.add(now_ms, state["issued"])
        for outcome, count in outcomes.items():
            self._outcomes.setdefault(outcome, Pace()).add(now_ms, count)
        speed = self._issued.per_second()
        remaining = state["remaining"]
        return Look(
            state=state,
            now_ms=now_ms,
            grants_per_second=speed,
            outcomes=outcomes,
            rates={outcome: pace.per_second() for outcome, pace in self._outcomes.items()},
            seconds_to_sell_out=remaining / speed if speed > 0 and remaining > 0 else None,
            sold_out_at_ms=sold_out_at_ms if remaining <= 0 else None,
        )


def _counted(text: str, round_id: str) -> tuple[dict[str, int], int | None]:
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
