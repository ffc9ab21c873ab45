"""Errors as clients see them: application/problem+json (RFC 9457) with a stable `code`. Every code is in this file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from claimd.identity.unauthenticated import Unauthenticated
from claimd.metrics.counts import Counts

CONTENT_TYPE = "application/problem+json"

# What each code means, for the person who reads it; clients branch on the code alone.
_TITLES = {
    "bad_request": "The request is not one this service understands.",
    "unauthenticated": "The credentials are missing or not valid for this.",
    "pass_outdated": "The round's eligibility was edited, or its passes revoked, since this pass was issued.",
    "not_eligible": "This round is not open to this person.",
    "not_found": "There is nothing at this address.",
    "round_not_found": "There is no such round.",
    "not_claimed": "This person has not claimed in this round.",
    "method_not_allowed": "This address does not take this method.",
    "too_large": "The body is too large.",
    "unsupported_media_type": "The body must be application/json.",
    "not_open": "The round has not opened yet.",
    "paused": "The round is paused.",
    "sold_out": "Every pack of this round has been claimed.",
    "closed": "The round is closed.",
    "archived": "The round is over, and its claims have left this service for an archive.",
    "rate_limited": "This person sends too many requests; wait as long as Retry-After says.",
    "overloaded": "Too many claims are waiting; send the request again.",
    "unavailable": "This could not be decided or confirmed now; send the request again.",
    "round_exists": "There is a round of this id already.",
    "invalid_round": "The round cannot be like this.",
    "total_below_issued": "More packs than that have been claimed already.",
    "version_mismatch": "The round was edited since the version that this edit is for.",
    "has_claims": "Packs of this round were claimed, so it cannot be deleted.",
    "not_closed": "Only a closed round can be archived.",
    "audit_failed": "The audit of the archive failed, so nothing was removed.",
    "archiving": "Another round is being archived; ask again when that is done.",
    "archive_failed": "The archive could not be written, so nothing was removed.",
}


# No two are equal, so that one which is told to many can be looked up by what it is.
@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """An error answer. `extra` are members of the document beside the standard ones; `reason` is that of a 401."""

    status: int
    code: str
    detail: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""

    def count(self, counts: Counts) -> None:
        """Add it to what was refused, and to the reasons of that where it has one."""
        counts.refusals[self.code] += 1
        if self.reason:
            counts.unauthenticated[self.reason] += 1

    def body(self) -> bytes:
        """The document."""
        document = {"type": f"urn:claimd:problem:{self.code}", "title": _TITLES[self.code], "status": self.status}
        if self.detail:
            document["detail"] = self.detail
        return orjson.dumps({**document, "code": self.code, **self.extra})

    def response(self) -> web.Response:
        """The answer for aiohttp."""
        return web.Response(status=self.status, body=self.body(), content_type=CONTENT_TYPE, headers=self.headers)


class ProblemError(Exception):
    """Ends a request with a problem; only handlers and what decodes for them raise it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def unauthenticated(reason: Unauthenticated) -> Problem:
    """The problem for credentials that are not accepted, the same one each time: for both doors, passes and tokens."""
    return _UNAUTHENTICATED[reason]


def _unauthenticated(reason: Unauthenticated) -> Problem:
    # RFC 6750, section 3: without credentials there is no error code. The scheme Pass has no parameters.
    error = "" if reason is Unauthenticated.NO_CREDENTIALS else 'error="invalid_token", '
    challenge = f'Bearer {error}error_description="{reason.sentence}", Pass'
    # An outdated pass has a code of its own: the app then gets a new one, while the person's token is still good.
    code = "pass_outdated" if reason is Unauthenticated.OUTDATED else "unauthenticated"
    # The value alone: to orjson, a member of an enumeration is no key.
    return Problem(401, code, headers={"WWW-Authenticate": challenge}, reason=reason.value)


_UNAUTHENTICATED = {reason: _unauthenticated(reason) for reason in Unauthenticated}


def refused(status: int, code: str, detail: str = "", **extra: Any) -> ProblemError:
    """What a handler raises to end its request with a problem."""
    headers = {"WWW-Authenticate": "Bearer, Pass"} if status == HTTPStatus.UNAUTHORIZED else {}
    return ProblemError(Problem(status, code, detail, extra, headers))
