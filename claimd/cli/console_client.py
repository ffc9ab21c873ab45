"""The console's API, as the commands see it. Whatever goes wrong becomes a CommandError with one line that helps."""

import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import quote, urlencode

import aiohttp

from claimd.cli.address import ConsoleAddress
from claimd.cli.arguments.round_id import require_round_id
from claimd.cli.arguments.text import as_utf8
from claimd.contract.problems import Code
from claimd.errors import CommandError, WrongUsage

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0

_ROUND = {
    **dict.fromkeys(("id", "title", "status", "opens_at", "closes_at"), str),
    **dict.fromkeys(("total", "issued", "remaining"), int),
}
_CLAIM = {"round": str, "id": str, "serial": int, "claimed_at": str}
_AUDIT = {
    **dict.fromkeys(("ok", "serials_contiguous", "log_matches"), bool),
    **dict.fromkeys(("total", "issued", "remaining", "claims", "identities", "oversold", "duplicates", "voided"), int),
}


class ConsoleClient:
    """The console's API at one address, open inside `async with`. Its methods raise CommandError."""

    def __init__(self, address: ConsoleAddress) -> None:
        self._address = address
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._address.token}"})
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def rounds(self, status: str | None = None) -> dict[str, Any]:
        """The rounds of a status (`all` for any), by default those that are not over, from all pages; `server_time`."""
        asked = {} if status is None else {"status": status}
        answer = page = await self._rounds(asked)
        while page.get("next") is not None:
            page = await self._rounds({**asked, "after": str(page["next"])})
            answer["rounds"] += page["rounds"]
        answer.pop("next", None)
        return answer

    async def server_time(self) -> str:
        """The clock that decides when a round opens, which need not be this machine's."""
        return str((await self._rounds({"limit": "1"}))["server_time"])

    async def _rounds(self, asked: Mapping[str, str]) -> dict[str, Any]:
        answer = await self._ask("GET", f"/admin/v1/rounds?{urlencode(asked)}")
        for state in self._expect(answer, rounds=list, server_time=str)["rounds"]:
            self._expect(state, **_ROUND)
        return answer

    async def round(self, round_id: str) -> dict[str, Any]:
        """One round as the console shows it. Raises CommandError, also where there is none."""
        return self._expect(await self._ask("GET", _path(round_id)), server_time=str, **_ROUND)

    async def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a round; returns it as the console shows it. Raises CommandError."""
        return self._expect(await self._ask("POST", "/admin/v1/rounds", body), **_ROUND)

    async def edit(self, round_id: str, body: Mapping[str, Any], if_version: int | None = None) -> dict[str, Any]:
        """Change a round; with `if_version` only while it has that version."""
        return self._expect(await self._ask("PATCH", _path(round_id), body, if_version=if_version), **_ROUND)

    async def command_round(
        self, round_id: str, action: str, reason: str, if_version: int | None = None
    ) -> dict[str, Any]:
        """The round after an `action`: `pause`, `resume`, `close` or `passes/revoke`. Raises CommandError."""
        body, path = {"reason": reason}, f"{_path(round_id)}/{action}"
        return self._expect(await self._ask("POST", path, body, if_version=if_version), **_ROUND)

    async def delete(self, round_id: str, reason: str, if_version: int | None = None) -> None:
        """Delete a round in which nothing was ever claimed."""
        async with self._request("DELETE", _path(round_id), {"reason": reason}, if_version=if_version):
            pass

    async def log(self, round_id: str) -> AsyncIterator[dict[str, Any]]:
        """Every edit of a round, in order."""
        async with self._request("GET", f"{_path(round_id)}/log", answer_seconds=None) as response:
            async for line in response.content:
                yield self._expect(json.loads(line), at=str, version=int, who=str, reason=str, fields=dict)

    async def archive(self, round_id: str, reason: str, if_version: int | None = None) -> dict[str, Any]:
        """Archive a closed round: takes seconds for a million claims, as all of them are written and audited."""
        path = f"{_path(round_id)}/archive"
        answer = await self._ask("POST", path, {"reason": reason}, answer_seconds=None, if_version=if_version)
        return self._expect(answer, file=str, sha256=str, issued=int, total=int)

    async def find_claim(self, round_id: str, sub: str) -> dict[str, Any]:
        """The claim that a person holds. Raises CommandError where they hold none."""
        answer = await self._ask("POST", f"{_path(round_id)}/claims/find", {"sub": sub})
        return self._expect(self._expect(answer, claim=dict)["claim"], **_CLAIM)

    async def void_claim(self, round_id: str, claim_id: str, reason: str, *, bar: bool) -> dict[str, Any]:
        """Void a claim; the claim, `voided_at` and `barred` of the first time it was voided."""
        path = f"{_path(round_id)}/claims/{quote(as_utf8(claim_id), safe='')}/void"
        answer = await self._ask("POST", path, {"reason": reason, "bar": bar})
        self._expect(self._expect(answer, claim=dict, voided_at=str, barred=bool)["claim"], **_CLAIM)
        return answer

    async def audit(self, round_id: str) -> dict[str, Any]:
        """Counted from all claims: takes seconds for a million of them."""
        return self._expect(await self._ask("GET", f"{_path(round_id)}/audit", answer_seconds=None), **_AUDIT)

    async def metrics(self, round_id: str) -> str:
        """Prometheus text about one round."""
        async with self._request("GET", f"/metrics?{urlencode({'round': round_id})}") as response:
            return await response.text()

    async def export(self, round_id: str) -> AsyncIterator[bytes]:
        """Pieces of NDJSON. A stream that breaks off half-way ends in a CommandError, never quietly."""
        async with self._request("GET", f"{_path(round_id)}/claims", answer_seconds=None) as response:
            async for piece in response.content.iter_any():
                yield piece

    async def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        answer_seconds: float | None = _ANSWER_SECONDS,
        if_version: int | None = None,
    ) -> dict[str, Any]:
        async with self._request(method, path, body, answer_seconds, if_version) as response:
            answer = await response.json()
        return self._expect(answer)

    def _expect(self, answer: Any, **fields: type) -> dict[str, Any]:
        """The answer, an object with fields of those types; another program may listen there."""
        if not isinstance(answer, dict) or not all(isinstance(answer.get(name), of) for name, of in fields.items()):
            raise CommandError(f"{self._address.url} does not answer like a claimd console")
        return answer

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        answer_seconds: float | None = _ANSWER_SECONDS,
        if_version: int | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("use the console with `async with`")
        url = self._address.url
        timeout = aiohttp.ClientTimeout(total=answer_seconds, sock_connect=_CONNECT_SECONDS)
        try:
            async with self._session.request(
                method,
                url + path,
                json=_utf8(body),
                timeout=timeout,
                allow_redirects=False,
                headers={} if if_version is None else {"If-Match": f'"{if_version}"'},
            ) as response:
                if response.status >= 300:
                    raise CommandError(_problem(url, response.status, await response.text(errors="replace")))
                yield response
        except aiohttp.ClientConnectorError as error:
            raise CommandError(
                f"no console at {url} ({_why(error.os_error)}): start one with `claimd up`, "
                "or give its address with --url"
            ) from None
        except aiohttp.ClientPayloadError:
            raise CommandError("the answer broke off half-way: what came is not the whole") from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise WrongUsage(f"{url!r} is not an address of a console: http://host:port") from None
        except (aiohttp.ClientError, ValueError) as error:
            raise CommandError(f"the console at {url} does not answer as it should: {error}") from None
        except TimeoutError:
            raise CommandError(f"the console at {url} does not answer in time") from None


def _path(round_id: str) -> str:
    return f"/admin/v1/rounds/{require_round_id(round_id)}"


def _utf8(body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The body with its texts as they were typed. Raises WrongUsage."""
    if body is None:
        return None
    typed = dict(body)
    for name, value in body.items():
        if isinstance(value, str):
            try:
                typed[name] = as_utf8(value)
            except ValueError as error:
                raise WrongUsage(f"--{name.replace('_', '-')} {value!r} {error}") from None
    return typed


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        # Its number is not one of the system's.
        return f"TLS: {(error.reason or str(error)).lower().replace('_', ' ')}"
    # asyncio puts its own sentence into strerror, addresses and all.
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)


def _problem(url: str, status: int, text: str) -> str:
    try:
        problem = json.loads(text)
        code, sentence = problem["code"], problem.get("detail") or problem["title"]
    except (ValueError, KeyError, TypeError):
        return f"{url} answered {status}, and not like a claimd console"
    if code == Code.NOT_FOUND:
        return f"{url} is no console: another part of claimd answers there, perhaps the public gateway (not_found)"
    if code == Code.UNAUTHENTICATED:
        return f"the console at {url} does not know this admin token (unauthenticated)"
    return f"{sentence.rstrip('.')} ({code})"
