"""claimd's HTTP as an operator and an onlooker use it: rounds, audit, export, and the server's clock."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final

from claimd.domain.times import from_rfc3339, to_rfc3339

_TIMEOUT_SECONDS: Final = 30
_AUDIT_TIMEOUT_SECONDS: Final = 300
_READ_BYTES: Final = 1 << 20
_CLOCK_SAMPLES: Final = 9


class ApiError(Exception):
    """claimd refused, or could not be reached; the message says which request and why."""


@dataclass(frozen=True, slots=True)
class Console:
    """The console API at `url`."""

    url: str
    token: str

    def create_round(self, round_id: str, total: int, opens_at_ms: int, closes_at_ms: int) -> None:
        """Create a round of the drop. Raises ApiError."""
        body = {
            "id": round_id,
            "title": f"A drop of {total:,} packs",
            "total": total,
            "opens_at": to_rfc3339(opens_at_ms),
            "closes_at": to_rfc3339(closes_at_ms),
            "pack": {"vouchers": 5, "off": 10, "from": 40},
        }
        self._request("/admin/v1/rounds", body).close()

    def edit_round(self, round_id: str, changes: dict[str, Any]) -> None:
        """Change a round; `changes` has a reason. Raises ApiError."""
        self._request(f"/admin/v1/rounds/{round_id}", changes, method="PATCH").close()

    def order(self, round_id: str, verb: str, reason: str) -> None:
        """`pause`, `resume` or `close` a round. Raises ApiError."""
        self._request(f"/admin/v1/rounds/{round_id}/{verb}", {"reason": reason}).close()

    def round(self, round_id: str) -> dict[str, Any]:
        """A round as it stands. Raises ApiError."""
        return self._document(f"/admin/v1/rounds/{round_id}", _TIMEOUT_SECONDS)

    def audit(self, round_id: str) -> dict[str, Any]:
        """claimd's own audit of a round. Raises ApiError."""
        return self._document(f"/admin/v1/rounds/{round_id}/audit", _AUDIT_TIMEOUT_SECONDS)

    def claims(self, round_id: str) -> Iterator[bytes]:
        """The NDJSON export in pieces of up to a megabyte, as they come. Raises ApiError."""
        with self._request(f"/admin/v1/rounds/{round_id}/claims", timeout=_AUDIT_TIMEOUT_SECONDS) as response:
            while piece := response.read(_READ_BYTES):
                yield piece

    def _document(self, path: str, timeout: float) -> dict[str, Any]:
        try:
            with self._request(path, timeout=timeout) as response:
                document: dict[str, Any] = json.loads(response.read())
                return document
        except (OSError, HTTPException) as error:
            raise ApiError(f"{path}: the answer broke off: {error}") from None

    def _request(
        self,
        path: str,
        body: dict[str, Any] | None = None,
        timeout: float = _TIMEOUT_SECONDS,
        method: str | None = None,
    ) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        return _open(urllib.request.Request(self.url.rstrip("/") + path, data, headers, method=method), timeout)


@dataclass(frozen=True, slots=True)
class Clock:
    """The server's clock, seen from here: 1000 times `monotonic` plus `ahead_ms`, give or take `error_ms`."""

    ahead_ms: float
    error_ms: float

    @classmethod
    def read(cls, host: str, round_id: str) -> "Clock":
        """Ask several times and believe the quickest answer: it leaves the least room for error. Raises ApiError."""
        best = cls(0.0, float("inf"))
        for _ in range(_CLOCK_SAMPLES):
            asked = time.monotonic()
            with _open(
                urllib.request.Request(f"{host.rstrip('/')}/v1/rounds/{round_id}"), _TIMEOUT_SECONDS
            ) as response:
                server_ms = from_rfc3339(json.loads(response.read())["server_time"])
            answered = time.monotonic()
            error_ms = (answered - asked) * 500 + 1  # half the way there and back, and the millisecond it is rounded to
            if error_ms < best.error_ms:
                best = cls(server_ms + 0.5 - (asked + answered) * 500, error_ms)
        return best

    def monotonic(self, server_ms: float) -> float:
        """The monotonic time at which the server's clock says `server_ms`."""
        return (server_ms - self.ahead_ms) / 1000


def _open(request: urllib.request.Request, timeout: float) -> Any:
    try:
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        detail = error.read(500).decode("utf-8", "replace")
        raise ApiError(f"{request.get_method()} {request.full_url}: {error.code} {detail}") from None
    except (OSError, HTTPException) as error:
        raise ApiError(f"{request.get_method()} {request.full_url}: {error}") from None
