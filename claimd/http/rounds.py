"""Reads rounds from the store as JSON, or as a problem, for gateway and console."""

from collections.abc import Callable
from typing import Any

from claimd.contract.problems import Code
from claimd.domain.archived import Archived
from claimd.domain.rounds import Round, is_round_id
from claimd.domain.times import to_rfc3339
from claimd.http.documents import round_json
from claimd.http.paging import PageQuery, cursor
from claimd.http.problems import ProblemError, reject
from claimd.store.ports import RoundReader

RoundJson = Callable[[Round, int], dict[str, Any]]
ArchivedProblem = Callable[[Archived], ProblemError]


def gone(_archived: Archived) -> ProblemError:
    """410 `archived` for the public, without the members that concern operators alone."""
    return reject(Code.ARCHIVED)


async def existing_round(
    rounds: RoundReader, round_id: str, problem_if_archived: ArchivedProblem = gone
) -> tuple[Round, int]:
    """The round as it is now, and the server's time in ms. Raises ProblemError: 404 or 410.

    It is read anew each time, as an edit counts for the very next request. `problem_if_archived` makes the 410.
    """
    reading = await rounds.round(round_id) if is_round_id(round_id) else None
    if reading is not None and reading.archived is not None:
        raise problem_if_archived(reading.archived)
    if reading is None or reading.round is None:
        raise reject(Code.ROUND_NOT_FOUND)
    return reading.round, reading.now_ms


async def read_rounds(rounds: RoundReader, asked: PageQuery, to_json: RoundJson = round_json) -> dict[str, Any]:
    """A page of rounds as JSON, as `contract.rounds.RoundPage`; `to_json` makes the JSON of one round."""
    page = await rounds.rounds_page(asked.statuses, asked.after, asked.limit)
    return {
        "rounds": [to_json(item, page.now_ms) for item in page.rounds],
        "next": cursor(page.next),
        "server_time": to_rfc3339(page.now_ms),
    }


async def read_round(
    rounds: RoundReader, round_id: str, to_json: RoundJson = round_json, problem_if_archived: ArchivedProblem = gone
) -> dict[str, Any]:
    """One round as JSON, with the server's time. Raises ProblemError: 404 or 410."""
    item, now_ms = await existing_round(rounds, round_id, problem_if_archived)
    return {**to_json(item, now_ms), "server_time": to_rfc3339(now_ms)}
