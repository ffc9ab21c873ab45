"""The console's API, blocking and with the standard library alone.

claimd's own client (`claimd/cli/console_client.py`) is asynchronous and turns errors into sentences for a terminal. The
harness calls the console from threads and from Locust's greenlets, where no asyncio loop may run.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final

from claimd.domain.times import to_rfc3339

_TIMEOUT_SECONDS: Final = 30
_AUDIT_TIMEOUT_SECONDS: Final = 300
_READ_BYTES: Final = 1 << 20


class ApiError(Exception):
    """claimd answered with an error or did not answer; the message names the request and the reason."""


@dataclass(frozen=True, slots=True)
class ConsoleClient:
    """The console at `url`, with its admin token. Every method raises ApiError."""

    url: str
    token: str

    def create_round(self, round_id: str, total: int, opens_at_ms: int, closes_at_ms: int) -> None:
        """Create a round of `total` packs without eligibility; its window is in ms since 1970."""
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
        """Change fields of a round; `changes` includes a reason."""
        self._request(f"/admin/v1/rounds/{round_id}", changes, method="PATCH").close()

    def command_round(self, round_id: str, action: str, reason: str) -> None:
        """`pause`, `resume` or `close` a round."""
        self._request(f"/admin/v1/rounds/{round_id}/{action}", {"reason": reason}).close()

    def round(self, round_id: str) -> dict[str, Any]:
        """A round as operators see it now: definition, `issued`, `status` and so on."""
        return self._document(f"/admin/v1/rounds/{round_id}", _TIMEOUT_SECONDS)

    def audit(self, round_id: str) -> dict[str, Any]:
        """claimd's own audit of a round; takes seconds for a million claims."""
        return self._document(f"/admin/v1/rounds/{round_id}/audit", _AUDIT_TIMEOUT_SECONDS)

    def export(self, round_id: str) -> Iterator[bytes]:
        """The NDJSON export of all claims, in pieces of up to a MiB as they arrive."""
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
        return open_url(urllib.request.Request(self.url.rstrip("/") + path, data, headers, method=method), timeout)


def open_url(request: urllib.request.Request, timeout: float = _TIMEOUT_SECONDS) -> Any:
    """The open response, to be closed by the caller. Raises ApiError, also for a status from 400 on."""
    try:
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        detail = error.read(500).decode("utf-8", "replace")
        raise ApiError(f"{request.get_method()} {request.full_url}: {error.code} {detail}") from None
    except (OSError, HTTPException) as error:
        raise ApiError(f"{request.get_method()} {request.full_url}: {error}") from None
