"""Peer: aiohttp and redis-py, one EVALSHA for each claim, on uvloop, with orjson. Trusts every identity.

python -m loadtest.bench.peers.aiohttp_redis PORT REDIS_URL
"""

import sys

import uvloop
from aiohttp import web
from redis.asyncio import Redis

from loadtest.bench.peers import answers, keys


async def create_app(redis_url: str) -> web.Application:
    """Build the app: one route, one connection pool."""
    redis = Redis.from_url(redis_url)
    sha = await redis.script_load(keys.SCRIPT)

    async def claim(request: web.Request) -> web.Response:
        round_id, identity = request.match_info["round_id"], request.headers["Authorization"]
        outcome, stored = await redis.evalsha(sha, 2, keys.round_key(round_id), keys.claims_key(round_id), identity)
        status, content_type, body = answers.answer(round_id, outcome, stored)
        return web.Response(status=status, body=body, content_type=content_type)

    app = web.Application()
    app.router.add_post("/v1/rounds/{round_id}/claims", claim)
    return app


if __name__ == "__main__":
    web.run_app(
        create_app(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        backlog=4096,
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
