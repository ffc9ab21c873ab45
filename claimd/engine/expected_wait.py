"""How long a claim would wait to be decided if it came now: what the door is kept by.

Learnt from the calls themselves, as nothing else tells how fast the server is tonight. While all calls hang, or none
gets through, the wait is at least as long as that has lasted: an average of better times would go on letting people in.
"""

from math import inf

from claimd.store.ports import MAX_BATCH

# The share of the newest call in the average: a change shows within some ten calls, one slow fsync does not.
_NEWEST = 0.2


class ExpectedWait:
    """Of one round's batches, of which `calls_in_flight` may be on their way at once. Moments are in seconds."""

    def __init__(self, calls_in_flight: int) -> None:
        self._calls_in_flight = calls_in_flight
        self._call_seconds = 0.0
        self._begun: dict[int, float] = {}
        self._failing_since = inf
        self._succeeded_at = -inf
        # Since when nobody could be sent, whatever the average says.
        self._waiting_since = inf

    @property
    def failing(self) -> bool:
        """Whether no call got through since one has failed."""
        return self._failing_since < inf

    def begin(self, batch: int, now: float) -> None:
        """The first call for a batch leaves."""
        self._begun[batch] = now
        self._look()

    def end(self, batch: int) -> None:
        """The batch is decided, or given up."""
        del self._begun[batch]
        self._look()

    def succeeded(self, seconds: float, now: float) -> None:
        """A call was answered in so many seconds."""
        self._succeeded_at = now
        known = self._call_seconds or seconds
        self._call_seconds = known + _NEWEST * (seconds - known)
        self._failing_since = inf
        self._look()

    def failed(self, sent_at: float) -> None:
        """A call that was sent at that moment has no answer. Another may have had one since."""
        self._failing_since = min(self._failing_since, max(sent_at, self._succeeded_at))
        self._look()

    def seconds(self, waiting: int, now: float) -> float:
        """What a claim has to expect behind so many others. Asked for every claim, so it looks nothing up."""
        turn_seconds = now - self._waiting_since
        if turn_seconds < self._call_seconds:
            turn_seconds = self._call_seconds
        return turn_seconds * (1 + waiting // MAX_BATCH / self._calls_in_flight)

    def _look(self) -> None:
        all_busy = len(self._begun) >= self._calls_in_flight
        self._waiting_since = min(max(self._begun.values()) if all_busy else inf, self._failing_since)
