"""Parses the query of a list of rounds: `?status=`, `?after=`, `?limit=`. Any other parameter is a problem."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from multidict import MultiMapping

from claimd.contract import details
from claimd.contract.limits import MAX_ROUNDS_PER_PAGE
from claimd.contract.problems import Code
from claimd.domain.rounds import ANY_STATUS, NOT_OVER, Status, is_round_id
from claimd.domain.sentences import Sentence
from claimd.domain.times import MAX_TIME_MS
from claimd.http.problems import ProblemError, reject
from claimd.store.ports import Position

_STATUSES: Mapping[str, frozenset[Status]] = {
    **{str(status): frozenset({status}) for status in Status},
    "all": ANY_STATUS,
}
_NAMES = ("status", "after", "limit")
_CURSOR = re.compile(r"(\d{1,15})-(.{1,64})", re.ASCII)
_LIMIT = re.compile(r"\d{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PageQuery:
    """The query of a page of rounds; by default the first page of those that are not over."""

    statuses: frozenset[Status] = NOT_OVER
    after: Position | None = None
    limit: int = MAX_ROUNDS_PER_PAGE

    @classmethod
    def parse(cls, query: MultiMapping[str]) -> "PageQuery":
        """Parse a query string. Raises ProblemError: 400 `bad_request` that names the parameter."""
        given = parameters(query, _NAMES)
        return cls(
            statuses=_statuses(given["status"]) if "status" in given else NOT_OVER,
            after=_position(given["after"]) if "after" in given else None,
            limit=_limit(given["limit"]) if "limit" in given else MAX_ROUNDS_PER_PAGE,
        )


def parameters(query: MultiMapping[str], names: tuple[str, ...]) -> dict[str, str]:
    """The query as a mapping. Raises ProblemError: 400 for a name not in `names`, or one that is there twice."""
    for name in query:
        if name not in names:
            raise _wrong(name, details.NO_PARAMETER(name=name, names=", ".join(names)))
        if len(query.getall(name)) > 1:
            raise _wrong(name, details.PARAMETER_TWICE(name=name))
    return dict(query.items())


def cursor(position: Position | None) -> str | None:
    """The value of `?after=` for the page behind that position; None for no further page."""
    return None if position is None else f"{position.opens_at_ms}-{position.round_id}"


def _statuses(text: str) -> frozenset[Status]:
    statuses = _STATUSES.get(text)
    if statuses is None:
        raise _wrong("status", details.NO_STATUS(names=", ".join(_STATUSES)))
    return statuses


def _position(text: str) -> Position:
    match = _CURSOR.fullmatch(text)
    if match is None or int(match[1]) > MAX_TIME_MS or not is_round_id(match[2]):
        raise _wrong("after", details.NO_CURSOR())
    return Position(int(match[1]), match[2])


def _limit(text: str) -> int:
    limit = int(text) if _LIMIT.fullmatch(text) else 0
    if not 1 <= limit <= MAX_ROUNDS_PER_PAGE:
        raise _wrong("limit", details.NO_LIMIT(most=MAX_ROUNDS_PER_PAGE))
    return limit


def _wrong(name: str, detail: Sentence) -> ProblemError:
    return reject(Code.BAD_REQUEST, detail, field=name)
