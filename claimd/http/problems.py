"""Errors as clients see them: application/problem+json (RFC 9457), made from a code of `claimd.contract.problems`."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import orjson
from aiohttp import hdrs, web

from claimd.contract import details
from claimd.contract.limits import RETRY_AFTER_SECONDS
from claimd.contract.problems import PROBLEM_CONTENT_TYPE, PROBLEM_TYPES, TYPE_PREFIX, Code, ProblemHeader
from claimd.domain.sentences import Language, Sentence
from claimd.identity.unauthenticated import Unauthenticated
from claimd.metrics.counts import Counts

_T = TypeVar("_T")

_BOTH_SCHEMES: Final = "Bearer, Pass"


# Hashed by identity (`eq=False`), so that `raw_answers` can cache the bytes of a problem by the problem itself.
@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """An error answer; status and title follow from the code. `title` and `detail` are in the reader's language.

    `members` stand in the document beside the standard ones. `reason` is that of a 401, for the metrics.
    `unknown_field`: the request has a field, and takes none; the one case in which a code has another status.
    """

    code: Code
    detail: Sentence | None = None
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    unknown_field: bool = False

    @property
    def status(self) -> int:
        """The HTTP status, from the table of codes."""
        kind = PROBLEM_TYPES[self.code]
        return int((kind.unknown_field_status if self.unknown_field else None) or kind.status)

    def count(self, counts: Counts) -> None:
        """Add one to the rejections of this code and, for a 401, to those of its reason."""
        counts.refusals[self.code] += 1
        if self.reason:
            counts.unauthenticated[self.reason] += 1

    def body(self, language: Language = Language.ENGLISH) -> bytes:
        """The problem's document, as JSON bytes."""
        title = PROBLEM_TYPES[self.code].title_in(language)
        document = {"type": f"{TYPE_PREFIX}{self.code}", "title": title, "status": self.status}
        if self.detail is not None:
            document["detail"] = self.detail.text(language)
        return orjson.dumps({**document, "code": self.code, **self.members})

    def response(self, language: Language = Language.ENGLISH) -> web.Response:
        """The problem as an answer of aiohttp's."""
        headers = {hdrs.CONTENT_LANGUAGE: language.value, hdrs.VARY: hdrs.ACCEPT_LANGUAGE, **self.headers}
        return web.Response(
            status=self.status, body=self.body(language), content_type=PROBLEM_CONTENT_TYPE, headers=headers
        )


class ProblemError(Exception):
    """Ends a request with a problem. Handlers raise it, and the functions that decode requests for them."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def reject(code: Code, detail: Sentence | None = None, **members: Any) -> ProblemError:
    """The exception that ends a request with a problem of this code."""
    needs_challenge = ProblemHeader.WWW_AUTHENTICATE in PROBLEM_TYPES[code].headers
    headers = {ProblemHeader.WWW_AUTHENTICATE.value: _BOTH_SCHEMES} if needs_challenge else {}
    return ProblemError(Problem(code, detail, members, headers))


def reject_unknown_field(name: str) -> ProblemError:
    """The exception for a field in the body of a request that takes none: 422."""
    return ProblemError(Problem(Code.BAD_REQUEST, details.NO_FIELD(name=name), {"field": name}, unknown_field=True))


def unauthenticated(reason: Unauthenticated) -> Problem:
    """The problem for rejected credentials: one object for each reason, for both doors, passes and tokens."""
    return _UNAUTHENTICATED[reason]


def retry_later(code: Code, detail: Sentence | None = None) -> Problem:
    """A problem with a `Retry-After` of one to three seconds, at random."""
    return Problem(code, detail, headers=one_of(RETRY_AFTER))


def one_of(spread: Sequence[_T]) -> _T:
    """One of several equal answers, at random. Not for security."""
    # `random.choice` takes three times as long, which is a lot where it is most of the work.
    return spread[int(random.random() * len(spread))]  # noqa: S311


def _unauthenticated(reason: Unauthenticated) -> Problem:
    # RFC 6750, section 3: without credentials there is no error code. The scheme Pass has no parameters.
    error = "" if reason is Unauthenticated.NO_CREDENTIALS else 'error="invalid_token", '
    challenge = f'Bearer {error}error_description="{reason.sentence}", Pass'
    # An outdated pass has a code of its own: the app gets a new pass, while the person's token is still good.
    code = Code.PASS_OUTDATED if reason is Unauthenticated.OUTDATED else Code.UNAUTHENTICATED
    # `.value`: orjson takes no member of an enumeration as a key.
    return Problem(code, headers={ProblemHeader.WWW_AUTHENTICATE.value: challenge}, reason=reason.value)


RETRY_AFTER: Final = tuple({ProblemHeader.RETRY_AFTER.value: str(seconds)} for seconds in RETRY_AFTER_SECONDS)
_UNAUTHENTICATED = {reason: _unauthenticated(reason) for reason in Unauthenticated}
