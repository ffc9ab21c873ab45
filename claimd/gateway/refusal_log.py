"""Logs, once a second at most, how many credentials were rejected for which reason: never whose, never their text.

A failed rotation of keys shows here as `unknown_key`, a wrong setting as `wrong_audience`, and so on.
"""

import asyncio
import logging
from collections import Counter

from claimd.identity.unauthenticated import Unauthenticated
from claimd.metrics.counts import Counts

_SECONDS = 1.0

_log = logging.getLogger(__name__)


class RefusalLog:
    """The log lines of one gateway process; what `counts` held before is not logged."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._logged = Counter(counts.unauthenticated)

    async def run(self) -> None:
        """Log new rejections once a second, until cancelled."""
        while True:
            await asyncio.sleep(_SECONDS)
            self.log_new()

    def log_new(self) -> None:
        """Log a line for each reason that has new rejections since the last call."""
        for reason in Unauthenticated:
            number = self._counts.unauthenticated[reason.value] - self._logged[reason.value]
            if number > 0:
                self._logged[reason.value] += number
                _log.warning("401 %s, %d times: %s", reason.value, number, reason.sentence, extra={"bounded": True})
