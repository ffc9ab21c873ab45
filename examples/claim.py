"""Claim a pack with aiohttp:

    TOKEN=$(claimd dev token --sub ada) python examples/claim.py http://127.0.0.1:8080 spring-5

TOKEN is the identity provider's; or give PASS, where there is one already. Prints the serial of the claim.
"""

import asyncio
import os
import random
import sys
from datetime import datetime
from typing import Any

import aiohttp

ATTEMPTS = 20
TIMEOUT = aiohttp.ClientTimeout(total=10)


class NoClaim(Exception):
    """The answer is final: this person gets no claim now. The message is its `code`."""


class Claimant:
    """One person in one round."""

    def __init__(self, session: aiohttp.ClientSession, round_id: str, token: str | None, given_pass: str | None):
        self._session = session
        self._path = f"/v1/rounds/{round_id}"
        self._token = token
        self._pass = given_pass

    async def claim(self) -> int:
        """Get a pass, wait for the opening, claim; the serial. Raises NoClaim."""
        # The expensive check comes first: long before the opening, if the app is open that long.
        self._pass = self._pass or await self._new_pass()
        renewed = False
        while True:
            await self._opening()
            status, answer = await self._send("POST", f"{self._path}/claims", f"Pass {self._pass}")
            if status in (200, 201):
                # 200: the claim that this person has already.
                return int(answer["claim"]["serial"])
            if status == 401 and not renewed:
                # The eligibility was edited, or the passes revoked: a new pass, once.
                renewed, self._pass = True, await self._new_pass()
            elif answer["code"] != "not_open":
                raise NoClaim(answer["code"])

    async def _new_pass(self) -> str:
        status, answer = await self._send("POST", f"{self._path}/passes", f"Bearer {self._token}")
        if status != 201:
            raise NoClaim(answer["code"])
        return str(answer["pass"])

    async def _opening(self) -> None:
        """Return when the round opens by the server's clock; this machine's may be wrong."""
        while True:
            status, state = await self._send("GET", self._path)
            if status != 200:
                raise NoClaim(state["code"])
            if state["status"] != "scheduled":
                return
            wait = datetime.fromisoformat(state["opens_at"]) - datetime.fromisoformat(state["server_time"])
            print(f"opens in {wait.total_seconds():.1f} s", file=sys.stderr)
            # At most a minute at a time: the round may be postponed, or opened earlier.
            await asyncio.sleep(min(60.0, wait.total_seconds()))

    async def _send(self, method: str, path: str, authorization: str = "") -> tuple[int, Any]:
        """Status and body of the answer. The person is the idempotency key, so a request may always be sent again:
        where the connection or the answer is lost, and at 429 and 5xx, when nothing is known to be granted.
        """
        headers = {"Authorization": authorization} if authorization else {}
        for _ in range(ATTEMPTS):
            seconds = 1.0
            try:
                async with self._session.request(method, path, headers=headers) as response:
                    if response.status != 429 and response.status < 500:
                        return response.status, await response.json(content_type=None)
                    seconds = float(response.headers.get("Retry-After", seconds))
                    print(f"{response.status}: asking again", file=sys.stderr)
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
                print(f"no answer ({error or type(error).__name__}): asking again", file=sys.stderr)
            # Some chance, so that clients that failed together do not come back together.
            await asyncio.sleep(seconds + random.random())  # noqa: S311 - not for security
        raise NoClaim("no answer")


async def main(url: str, round_id: str) -> int:
    """Claim, and print the serial or what became of it; the exit code."""
    token, given_pass = os.environ.get("TOKEN"), os.environ.get("PASS")
    if not (token or given_pass):
        sys.exit("set TOKEN or PASS")
    async with aiohttp.ClientSession(url, timeout=TIMEOUT) as session:
        try:
            print(await Claimant(session, round_id, token, given_pass).claim())
        except NoClaim as reason:
            print(f"no claim: {reason}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: TOKEN=… python claim.py URL ROUND")
    sys.exit(asyncio.run(main(*sys.argv[1:])))
