"""Says in the log, once a second at most, which credentials were not accepted, and how many: never whose, never what.

A rotation of keys that went wrong shows here as `unknown_key`, a wrong setting as `wrong_audience`, and so on.
"""

import asyncio
import logging
from collections import Counter

from claimd.identity.unauthenticated import Unauthenticated
from claimd.metrics.counts import Counts

_SECONDS = 1.0

_log = logging.getLogger(__name__)


class RefusalLog:
    """Of one gateway; what was counted before it began, say before a restart, is not its concern."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._said = Counter(counts.unauthenticated)

    async def run(self) -> None:
        """Say what is new, once a second, for ever."""
        while True:
            await asyncio.sleep(_SECONDS)
            self.say()

    def say(self) -> None:
        """A line for each reason of which there are more than when this was called last."""
        for reason in Unauthenticated:
            number = self._counts.unauthenticated[reason.value] - self._said[reason.value]
            if number > 0:
                self._said[reason.value] += number
                _log.warning("401 %s, %d times: %s", reason.value, number, reason.sentence, extra={"bounded": True})
