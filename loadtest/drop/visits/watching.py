"""People that watch the round's events during the evening: connections beside those of the requests.

Where the gateway has no such route, watching is left out, and the report has the reason.
"""

from collections import Counter
from http.client import HTTPConnection, HTTPException, HTTPResponse
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import gevent
import gevent.pool

from loadtest.client.answers import Finding
from loadtest.client.visit_answers import VisitReader
from loadtest.drop.visits.records import VisitRecords

# A comment comes every 15 s: a stream without one for so long is broken.
_SILENCE_SECONDS: Final = 40.0
_RETRY_SECONDS: Final = 1.0
_CONNECTS_APART_SECONDS: Final = 0.005


class Watching:
    """The watchers of one generator, each with a stream of events of its own."""

    def __init__(self, host: str, round_id: str, records: VisitRecords, origin: float) -> None:
        """`host` is the gateway's URL; `origin` is the monotonic time of the opening. Events are noted as readings."""
        url = urlsplit(host)
        self._address = url.hostname or "127.0.0.1", url.port or 80
        self._path = f"/v1/rounds/{round_id}/events"
        self._reader, self._records = VisitReader(round_id), records
        self._origin = origin
        self._pool = gevent.pool.Group()
        self._watchers = self._opened = self._events = 0
        self.left_out: str | None = None
        """Why nothing is watched; None where something is."""
        self.errors: Counter[str] = Counter()

    def start(self, number: int, first_client: int) -> None:
        """Start so many watchers, clients `first_client` and downwards, unless the gateway has no events."""
        if not self._has_events():
            return
        self._watchers = number
        for at in range(number):
            self._pool.start(gevent.Greenlet(self._watch, first_client - at, at * _CONNECTS_APART_SECONDS))

    def stop(self) -> None:
        """Close the streams of all watchers."""
        self._pool.kill()

    def summary(self) -> dict[str, Any]:
        """Counts of watchers, streams, events and errors."""
        return {
            "left_out": self.left_out,
            "watchers": self._watchers,
            "streams": self._opened,
            "events": self._events,
            "errors": self.errors.total(),
        }

    def _has_events(self) -> bool:
        """Whether there may be events to watch; sets `left_out` where the gateway has no such route."""
        try:
            connection, response = self._open()
        except (OSError, HTTPException) as error:
            self.errors[f"events: {type(error).__name__}"] += 1
            return True
        connection.close()
        if response.status in {404, 405}:
            self.left_out = f"the gateway answers {response.status} to {self._path}"
            return False
        return True

    def _watch(self, client: int, after_seconds: float) -> None:
        gevent.sleep(after_seconds)
        while True:
            try:
                connection, response = self._open()
                try:
                    self._follow(client, response)
                finally:
                    connection.close()
            except (OSError, HTTPException) as error:
                self.errors[f"events: {type(error).__name__}"] += 1
            gevent.sleep(_RETRY_SECONDS)

    def _open(self) -> tuple[HTTPConnection, HTTPResponse]:
        connection = HTTPConnection(*self._address, timeout=_SILENCE_SECONDS)
        connection.request("GET", self._path, headers={"Accept": "text/event-stream"})
        return connection, connection.getresponse()

    def _follow(self, client: int, response: HTTPResponse) -> None:
        """Note the events of one stream until it ends."""
        if response.status != 200:
            self.errors[f"events: status {response.status}"] += 1
            return
        self._opened += 1
        while line := response.readline():
            if line.startswith(b"data:"):
                self._note(client, line[5:].strip())

    def _note(self, client: int, data: bytes) -> None:
        now = monotonic() - self._origin
        read = self._reader.read_event(data)
        if isinstance(read, Finding):
            self.errors[f"events: {read.error}"] += 1
            return
        self._events += 1
        self._records.note_reading(client, now, now, read)
