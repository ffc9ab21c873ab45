"""Counts what becomes of the batches: of claims by round and outcome, of lookups only the calls that failed."""

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter

from claimd.domain.outcomes import Decision, Outcome
from claimd.metrics.counts import Counts

_OUTCOME = attrgetter("outcome")


class ClaimTally:
    """Implements `BatchTally` for the claims of one round."""

    def __init__(self, counts: Counts, round_id: str) -> None:
        self._counts = counts
        self._round_id = round_id

    def rejected(self, outcome: Outcome) -> None:
        """See `BatchTally.rejected`."""
        self._counts.claims[self._round_id, outcome] += 1

    def failed(self) -> None:
        """See `BatchTally.failed`."""
        self._counts.failed_calls += 1

    def replied(self, requests: int, seconds: float) -> None:
        """See `BatchTally.replied`."""
        self._counts.batch_claims.observe(requests)
        self._counts.round_trip_seconds.observe(seconds)

    def decided(self, decisions: Sequence[Decision]) -> None:
        """See `BatchTally.decided`."""
        for outcome, number in Counter(map(_OUTCOME, decisions)).items():
            self._counts.claims[self._round_id, outcome] += number

    def waited(self, now: float, since: Sequence[float]) -> None:
        """See `BatchTally.waited`."""
        self._counts.latency_seconds.observe_ages(now, since)


class LookupTally:
    """Implements `BatchTally` for lookups: they are no claims, and must not be counted as such."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def rejected(self, outcome: Outcome) -> None:
        """See `BatchTally.rejected`; the refusal is counted with its answer."""

    def failed(self) -> None:
        """See `BatchTally.failed`."""
        self._counts.failed_calls += 1

    def replied(self, requests: int, seconds: float) -> None:
        """See `BatchTally.replied`; not counted."""

    def decided(self, decisions: Sequence[Decision]) -> None:
        """See `BatchTally.decided`; not counted."""

    def waited(self, now: float, since: Sequence[float]) -> None:
        """See `BatchTally.waited`; not counted."""
