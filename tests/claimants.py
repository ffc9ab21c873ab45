"""`python -m tests.claimants BASE ROUND SECRET FIRST COUNT`: a process of claimants for `test_many_claimants.py`.

COUNT people, from number FIRST on, send two claims each, all at once. Prints what `claim_all` returns, as JSON.
"""

import asyncio
import json
import sys

import aiohttp

from claimd.identity.keys import Keys
from claimd.identity.passes import Passes
from tests.rounds import identity

_FOREVER_MS = 2**42


async def claim_all(base: str, round_id: str, secret: str, people: range) -> list[tuple[int, int, int]]:
    """(person, HTTP status, serial or 0) of every answer; each person sends two claims at the same moment."""
    passes = Passes(Keys.derive(secret.encode()).pass_key)

    async def claim(person: int) -> tuple[int, int, int]:
        headers = {"Authorization": f"Pass {passes.issue_pass(round_id, identity(person), _FOREVER_MS)}"}
        async with session.post(f"{base}/v1/rounds/{round_id}/claims", headers=headers) as answer:
            body = await answer.json(content_type=None)
            return person, answer.status, body["claim"]["serial"] if answer.status < 300 else 0

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session:
        return await asyncio.gather(*(claim(person) for person in people for _ in range(2)))


if __name__ == "__main__":
    base, round_id, secret, first, count = sys.argv[1:]
    results = asyncio.run(claim_all(base, round_id, secret, range(int(first), int(first) + int(count))))
    print(json.dumps(results))
