"""Says that something which is done again and again has failed, without saying it each time."""

import logging
from collections.abc import Callable

_APART_SECONDS = 60.0


class Trouble:
    """Logs the first failure, then at most one line a minute with their number, and a line when it works again."""

    def __init__(self, log: logging.Logger, what: str, clock: Callable[[], float]) -> None:
        """`what` is what fails, such as "saving counts"; `clock` is monotonic, in seconds."""
        self._log = log
        self._what = what
        self._clock = clock
        self._failures = 0
        self._said = 0
        self._said_at = 0.0

    def failed(self, error: Exception, *, unexpected: bool = False) -> None:
        """Count a failure, and say so where it is time to. An unexpected one is logged with its traceback."""
        self._failures += 1
        now = self._clock()
        if self._failures > 1 and now - self._said_at < _APART_SECONDS:
            return
        since = self._failures - self._said
        more = f" ({since} times since the last such line)" if since > 1 else ""
        self._said, self._said_at = self._failures, now
        reason = f"{type(error).__name__}: {error}"
        traceback = error if unexpected else None
        self._log.warning("%s failed%s: %s", self._what, more, reason, exc_info=traceback, extra={"bounded": True})

    def worked(self) -> None:
        """Say that it works again, where it had failed."""
        if self._failures:
            self._log.info("%s works again, after %d failures", self._what, self._failures)
        self._failures = self._said = 0
