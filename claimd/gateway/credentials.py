"""Who is asking: reads `Authorization: Pass …` and `Authorization: Bearer …` and answers with an identity."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web

from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import Round, is_round_id
from claimd.gateway.context import CONTEXT, Context
from claimd.http.problems import ProblemError, refused
from claimd.http.replies import refusal
from claimd.identity.eligibility import is_eligible
from claimd.identity.secrets import identity_digest


@dataclass(frozen=True, slots=True)
class Asking:
    """`claims` are those of the bearer token; None for a pass, whose eligibility was checked when it was issued."""

    identity: bytes
    claims: Mapping[str, Any] | None


def asking_with_pass_or_bearer(request: web.Request, round_id: str) -> Asking:
    """Whoever presents a pass for this round or a bearer token; else the request ends with 401, or 429."""
    context = request.app[CONTEXT]
    scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    match scheme.lower():
        case "pass":
            identity = context.passes.verify(round_id, value.strip(" \t"), time.time_ns() // 1_000_000)
            if identity is None:
                raise refused(HTTPStatus.UNAUTHORIZED, "unauthenticated")
            return _admitted(context, Asking(identity, None))
        case "bearer":
            return _admitted(context, _bearer(context, value.strip(" \t")))
        case _:
            raise refused(HTTPStatus.UNAUTHORIZED, "unauthenticated")


def asking_with_bearer(request: web.Request) -> Asking:
    """Whoever presents a bearer token; else the request ends with 401, or 429."""
    context = request.app[CONTEXT]
    scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer":
        raise refused(HTTPStatus.UNAUTHORIZED, "unauthenticated")
    return _admitted(context, _bearer(context, value.strip(" \t")))


async def eligible_round(context: Context, round_id: str, asking: Asking) -> tuple[Round, int]:
    """The round as it is now, and the server's time, where a bearer's claims fit it; else 404 or 403.

    Read anew each time: an edit of the eligibility counts for the very next claim.
    """
    reading = await context.store.round(round_id) if is_round_id(round_id) else None
    if reading is None or reading.round is None:
        raise refused(HTTPStatus.NOT_FOUND, "round_not_found")
    if not is_eligible(reading.round.definition.eligibility, asking.claims or {}):
        raise refused(HTTPStatus.FORBIDDEN, "not_eligible")
    return reading.round, reading.now_ms


def _bearer(context: Context, token: str) -> Asking:
    bearer = context.bearer_tokens.verify(token)
    try:
        if bearer is not None:
            return Asking(identity_digest(context.identity_key, bearer.subject), bearer.claims)
    except ValueError:
        # A sub that is empty, too long, or not even text is no identity.
        pass
    raise refused(HTTPStatus.UNAUTHORIZED, "unauthenticated")


def _admitted(context: Context, asking: Asking) -> Asking:
    if not context.rate_limit.admit(asking.identity):
        raise ProblemError(refusal(Decision(Outcome.RATE_LIMITED)))
    return asking
