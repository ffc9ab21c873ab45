"""Logs the failures of a repeated job without a line for each of them."""

import logging
from collections.abc import Callable

_APART_SECONDS = 60.0


class Trouble:
    """Logs the first failure, then one line a minute at most with their number, and a line at the next success."""

    def __init__(self, log: logging.Logger, what: str, clock: Callable[[], float]) -> None:
        """`what` names the job, such as "saving counts"; `clock` gives seconds that never go back."""
        self._log = log
        self._what = what
        self._clock = clock
        self._failures = 0
        self._logged = 0
        self._logged_at = 0.0

    def failed(self, error: Exception, *, unexpected: bool = False) -> None:
        """Count a failure, and log it where a line is due; with `unexpected`, with its traceback."""
        self._failures += 1
        now = self._clock()
        if self._failures > 1 and now - self._logged_at < _APART_SECONDS:
            return
        since = self._failures - self._logged
        more = f" ({since} times since the last such line)" if since > 1 else ""
        self._logged, self._logged_at = self._failures, now
        reason = f"{type(error).__name__}: {error}"
        traceback = error if unexpected else None
        self._log.warning("%s failed%s: %s", self._what, more, reason, exc_info=traceback, extra={"bounded": True})

    def worked(self) -> None:
        """Note a success; the first after a failure is logged."""
        if self._failures:
            self._log.info("%s works again, after %d failures", self._what, self._failures)
        self._failures = self._logged = 0
