"""`python -m tests.claimants BASE ROUND SECRET FIRST COUNT`: so many people claim at once, twice each; prints all."""

import asyncio
import json
import sys

import aiohttp

from claimd.identity.keys import Keys
from claimd.identity.passes import Passes
from tests.rounds import identity

_FOREVER_MS = 2**42


async def claim_all(base: str, round_id: str, secret: str, people: range) -> list[tuple[int, int, int]]:
    """(person, status, serial or 0) of every answer, of two tries at the same moment each."""
    passes = Passes(Keys.derive(secret.encode()).pass_key)

    async def claim(person: int) -> tuple[int, int, int]:
        headers = {"Authorization": f"Pass {passes.issue(round_id, identity(person), _FOREVER_MS)}"}
        async with session.post(f"{base}/v1/rounds/{round_id}/claims", headers=headers) as answer:
            told = await answer.json(content_type=None)
            return person, answer.status, told["claim"]["serial"] if answer.status < 300 else 0

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session:
        return await asyncio.gather(*(claim(person) for person in people for _ in range(2)))


if __name__ == "__main__":
    base, round_id, secret, first, count = sys.argv[1:]
    heard = asyncio.run(claim_all(base, round_id, secret, range(int(first), int(first) + int(count))))
    print(json.dumps(heard))
