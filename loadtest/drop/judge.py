"""Decides whether an answer is right for its request. A correct refusal is a success.

The crowd does not retry: a 503 is an error here, as a drop that rejects requests has failed. Only the app users
(`users.py`) retry, as an app would.
"""

from typing import Final

from loadtest.client.answers import Answer, Finding, Reader
from loadtest.crowd.schedule import Kind

# Refusals that are right for some kind of request, beside "sold out".
REFUSED: Final = (Answer.NOT_OPEN, Answer.UNAUTHENTICATED)

_ANSWERS_TO_A_CLAIM: Final = frozenset({Answer.GRANTED, Answer.REPLAYED, Answer.SOLD_OUT})
_ALLOWED: Final[dict[int, frozenset[Answer]]] = {
    **dict.fromkeys((Kind.CLAIM, Kind.AGAIN, Kind.APP), _ANSWERS_TO_A_CLAIM),
    Kind.EARLY: frozenset({Answer.NOT_OPEN}),
    Kind.BAD: frozenset({Answer.UNAUTHENTICATED}),
}


class Judge:
    """Judges the answers of one drop by the kind of each request."""

    def __init__(self, round_id: str, opens_at_ms: int) -> None:
        self._read = Reader(round_id, opens_at_ms).read

    def judge(self, kind: int, status: bytes, body: bytes) -> Finding:
        """The finding of an answer to a request of `kind`; WRONG, with an error, for one that the kind may not get.

        Never raises.
        """
        finding = self._read(status, body)
        answer = finding.answer
        if answer in _ALLOWED[kind] or answer is Answer.WRONG:
            return finding
        misplaced = f"{answer.name.lower()} in answer to a request of kind {Kind(kind).name.lower()}"
        return Finding(Answer.WRONG, error=finding.error or misplaced)
