"""Peer: FastAPI on uvicorn (uvloop, httptools) and redis-py, one EVALSHA for each claim. Trusts every identity.

python -m loadtest.bench.peers.fastapi_redis PORT REDIS_URL
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header, Response
from redis.asyncio import Redis

from loadtest.bench.peers import answers, keys


def create_app(redis_url: str) -> FastAPI:
    """Build the app: one route, one connection pool."""
    redis = Redis.from_url(redis_url)
    sha = ""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        nonlocal sha
        sha = await redis.script_load(keys.SCRIPT)
        yield
        await redis.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/rounds/{round_id}/claims")
    async def claim(round_id: str, authorization: Annotated[str, Header()]) -> Response:
        outcome, stored = await redis.evalsha(
            sha, 2, keys.round_key(round_id), keys.claims_key(round_id), authorization
        )
        status, content_type, body = answers.answer(round_id, outcome, stored)
        return Response(body, status, media_type=content_type)

    return app


if __name__ == "__main__":
    uvicorn.run(
        create_app(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        backlog=4096,
        access_log=False,
        log_level="warning",
        loop="uvloop",
        http="httptools",
    )
