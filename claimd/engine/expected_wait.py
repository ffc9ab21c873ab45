"""How long a claim would wait for its decision if it came now, on which admission control depends.

The estimate comes from the calls themselves, as nothing else shows how fast the server is now. While all calls hang, or
none succeeds, the expected wait is at least as long as that has lasted: the average of earlier calls alone would go on
admitting claims.
"""

from math import inf

from claimd.store.ports import MAX_BATCH

# The weight of the newest call in the average: ten slow calls raise it, one slow fsync hardly does.
_NEWEST = 0.2


class ExpectedWait:
    """The expected wait for one batcher, which has at most `calls_in_flight` calls in flight. All times in seconds."""

    def __init__(self, calls_in_flight: int) -> None:
        self._calls_in_flight = calls_in_flight
        self._call_seconds = 0.0
        self._begun: dict[int, float] = {}
        self._failing_since = inf
        self._succeeded_at = -inf
        # The time since which no waiting claim could be sent, whatever the average is.
        self._stalled_since = inf

    @property
    def failing(self) -> bool:
        """Whether a call has failed and none has succeeded since."""
        return self._failing_since < inf

    def begin(self, batch: int, now: float) -> None:
        """The first call for a batch is sent at `now`."""
        self._begun[batch] = now
        self._update_stalled_since()

    def end(self, batch: int) -> None:
        """The batch is decided or expired."""
        del self._begun[batch]
        self._update_stalled_since()

    def succeeded(self, seconds: float, now: float) -> None:
        """A call has succeeded at `now`, after `seconds`."""
        self._succeeded_at = now
        known = self._call_seconds or seconds
        self._call_seconds = known + _NEWEST * (seconds - known)
        self._failing_since = inf
        self._update_stalled_since()

    def failed(self, sent_at: float) -> None:
        """A call that was sent at `sent_at` has failed; another may have succeeded since."""
        self._failing_since = min(self._failing_since, max(sent_at, self._succeeded_at))
        self._update_stalled_since()

    def seconds(self, waiting: int, now: float) -> float:
        """The expected wait behind `waiting` claims. Called for every claim, so it only does arithmetic."""
        call_seconds = now - self._stalled_since
        if call_seconds < self._call_seconds:
            call_seconds = self._call_seconds
        return call_seconds * (1 + waiting // MAX_BATCH / self._calls_in_flight)

    def _update_stalled_since(self) -> None:
        all_busy = len(self._begun) >= self._calls_in_flight
        self._stalled_since = min(max(self._begun.values()) if all_busy else inf, self._failing_since)
