"""Peer: a whole visit on aiohttp, redis-py and PyJWT, on uvloop, with orjson: what one writes first, and writes well.

A round is read with HGETALL, a claim is one EVALSHA, a pass is signed with HMAC. It has no rate limit and no metrics.

python -m loadtest.bench.peers.aiohttp_visit PORT REDIS_URL JWKS
"""

import base64
import hashlib
import hmac
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import orjson
import uvloop
from aiohttp import web
from redis.asyncio import Redis

from claimd.domain.times import to_rfc3339
from loadtest.bench.peers import answers, keys

_PASS_SECONDS = 366 * 24 * 3600
_SIGNATURE_CHARACTERS = 43


class Passes:
    """Passes: who, until when, and a keyed hash of both and the round."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, round_id: str, sub: str, expires_at: int) -> str:
        """A pass for the person `sub`, until `expires_at` in seconds since 1970."""
        text = base64.urlsafe_b64encode(f"{expires_at}:{sub}".encode()).rstrip(b"=").decode()
        return text + self._sign(round_id, text)

    def verify(self, round_id: str, pass_text: str) -> str | None:
        """The `sub` of a valid pass for this round, or None."""
        text, signature = pass_text[:-_SIGNATURE_CHARACTERS], pass_text[-_SIGNATURE_CHARACTERS:]
        if not hmac.compare_digest(signature, self._sign(round_id, text)):
            return None
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        expires_at, _, sub = decoded.partition(":")
        return sub if time.time() < int(expires_at) else None

    def _sign(self, round_id: str, text: str) -> str:
        digest = hmac.digest(self._secret, f"{round_id}:{text}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Visit:
    """The handlers of the four requests."""

    def __init__(self, redis: "Redis", sha: str, jwks: jwt.PyJWKSet) -> None:
        self._redis = redis
        self._sha = sha
        self._keys = {key.key_id: key for key in jwks.keys}
        self._passes = Passes(secrets.token_bytes(32))

    async def show_round(self, request: web.Request) -> web.Response:
        """`GET /v1/rounds/{id}`."""
        round_id = request.match_info["round_id"]
        stored = await self._redis.hgetall(keys.round_key(round_id))
        if not stored:
            return _problem(404, "round_not_found")
        return _json(200, _round_document(round_id, stored, time.time_ns() // 1_000_000))

    async def issue_pass(self, request: web.Request) -> web.Response:
        """`POST /v1/rounds/{id}/passes`."""
        token_claims = self._verify_token(request)
        if token_claims is None:
            return _problem(401, "unauthenticated")
        round_id = request.match_info["round_id"]
        stored = await self._redis.hgetall(keys.round_key(round_id))
        if not stored:
            return _problem(404, "round_not_found")
        eligibility = orjson.loads(stored[b"eligibility"])
        if not all(token_claims.get(name) in allowed for name, allowed in eligibility.items()):
            return _problem(403, "not_eligible")
        expires_at = max(int(stored[b"closes_at_ms"]) // 1000, int(time.time())) + _PASS_SECONDS
        text = self._passes.issue(round_id, token_claims["sub"], expires_at)
        return _json(201, {"pass": text, "expires_at": to_rfc3339(expires_at * 1000)})

    async def claim(self, request: web.Request) -> web.Response:
        """`POST /v1/rounds/{id}/claims`."""
        round_id = request.match_info["round_id"]
        sub = self._verify_pass(request, round_id)
        if sub is None:
            return _problem(401, "unauthenticated")
        outcome, stored = await self._redis.evalsha(
            self._sha, 2, keys.round_key(round_id), keys.claims_key(round_id), sub
        )
        status, content_type, body = answers.answer(round_id, outcome, stored)
        return web.Response(status=status, body=body, content_type=content_type)

    async def show_claim(self, request: web.Request) -> web.Response:
        """`GET /v1/rounds/{id}/claims/me`."""
        round_id = request.match_info["round_id"]
        sub = self._verify_pass(request, round_id)
        if sub is None:
            return _problem(401, "unauthenticated")
        stored: Any = await self._redis.hget(keys.claims_key(round_id), sub)
        if stored is None:
            return _problem(404, "not_claimed")
        return _json(200, {"claim": answers.claim_document(round_id, stored)})

    def _verify_token(self, request: web.Request) -> dict[str, Any] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            options: Any = {"require": ["exp", "sub"], "verify_aud": False}
            token_claims: dict[str, Any] = jwt.decode(token, key, algorithms=[key.algorithm_name], options=options)
        except (jwt.PyJWTError, KeyError):
            return None
        return token_claims

    def _verify_pass(self, request: web.Request, round_id: str) -> str | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        return self._passes.verify(round_id, text) if scheme.lower() == "pass" else None


def _round_document(round_id: str, stored: dict[Any, Any], now_ms: int) -> dict[str, Any]:
    total, issued = int(stored[b"total"]), int(stored[b"issued"])
    opens_at_ms, closes_at_ms = int(stored[b"opens_at_ms"]), int(stored[b"closes_at_ms"])
    paused = stored[b"paused"] == b"1"
    if stored[b"closed"] == b"1" or now_ms >= closes_at_ms:
        status = "closed"
    elif now_ms < opens_at_ms:
        status = "scheduled"
    elif paused:
        status = "paused"
    else:
        status = "open" if issued < total else "sold_out"
    return {
        "id": round_id,
        "title": stored[b"title"].decode(),
        "status": status,
        "total": total,
        "issued": issued,
        "remaining": total - issued,
        "opens_at": to_rfc3339(opens_at_ms),
        "closes_at": to_rfc3339(closes_at_ms),
        "paused": paused,
        "pack": orjson.loads(stored[b"pack"]),
        "server_time": to_rfc3339(now_ms),
    }


def _json(status: int, document: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(document), content_type=answers.JSON)


def _problem(status: int, code: str) -> web.Response:
    document = {"type": f"urn:claimd:problem:{code}", "title": code, "status": status, "code": code}
    return web.Response(status=status, body=orjson.dumps(document), content_type=answers.PROBLEM)


async def create_app(redis_url: str, jwks: str) -> web.Application:
    """Build the app: four routes, one connection pool."""
    redis = Redis.from_url(redis_url)
    visit = Visit(redis, await redis.script_load(keys.SCRIPT), jwt.PyJWKSet.from_json(jwks))
    app = web.Application()
    app.add_routes(
        [
            web.get("/v1/rounds/{round_id}", visit.show_round),
            web.post("/v1/rounds/{round_id}/passes", visit.issue_pass),
            web.post("/v1/rounds/{round_id}/claims", visit.claim),
            web.get("/v1/rounds/{round_id}/claims/me", visit.show_claim),
        ]
    )
    return app


if __name__ == "__main__":
    web.run_app(
        create_app(sys.argv[2], Path(sys.argv[3]).read_text()),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        backlog=4096,
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
