"""Who is asking: reads `Authorization: Pass …` and `Authorization: Bearer …` and answers with an identity."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web

from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import NO_EPOCH, Round, is_round_id
from claimd.gateway.context import CONTEXT, Context
from claimd.http.problems import ProblemError, refused
from claimd.http.replies import refusal
from claimd.identity.eligibility import is_eligible
from claimd.identity.passes import PassFault
from claimd.identity.secrets import identity_digest


@dataclass(frozen=True, slots=True)
class Asking:
    """`claims` are those of the bearer token; None for a pass, whose eligibility was checked when it was issued.

    `epoch` is the eligibility epoch of a pass.
    """

    identity: bytes
    claims: Mapping[str, Any] | None
    epoch: int = NO_EPOCH


def asking_with_pass_or_bearer(request: web.Request, round_id: str) -> Asking:
    """Whoever presents a pass for this round or a bearer token; else the request ends with 401, or 429."""
    context = request.app[CONTEXT]
    scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    match scheme.lower():
        case "pass":
            verified = context.passes.verify(round_id, value.strip(" \t"), time.time_ns() // 1_000_000)
            if isinstance(verified, PassFault):
                raise refused(HTTPStatus.UNAUTHORIZED, "unauthenticated")
            identity, epoch = verified
            return _admitted(context, Asking(identity, None, epoch))
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


async def known_round(context: Context, round_id: str) -> tuple[Round, int]:
    """The round as it is now, and the server's time in milliseconds; else the request ends with 404.

    Read anew each time: an edit of the eligibility counts for the very next claim.
    """
    reading = await context.store.round(round_id) if is_round_id(round_id) else None
    if reading is None or reading.round is None:
        raise refused(HTTPStatus.NOT_FOUND, "round_not_found")
    return reading.round, reading.now_ms


def is_admitted(item: Round, asking: Asking) -> bool:
    """Whether a bearer's claims fit the eligibility of the round."""
    return is_eligible(item.definition.eligibility, asking.claims or {})


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
