"""Whether an answer is what it should be. A correct refusal is a success; the rest is an error.

The crowd gets no second chance: a 503 is an error here, because a drop that turns people away did not hold.
Only the app users (`users.py`) retry, as an app would.
"""

from typing import Final

from loadtest.client.answers import Answer, Finding, Reader
from loadtest.crowd.schedule import Kind

# What may be told rightly to somebody of the crowd who gets no claim, beside "sold out".
REFUSED: Final = (Answer.NOT_OPEN, Answer.UNAUTHENTICATED)

_ANSWERS_TO_A_CLAIM: Final = frozenset({Answer.GRANTED, Answer.REPLAYED, Answer.SOLD_OUT})
_ALLOWED: Final[dict[int, frozenset[Answer]]] = {
    **dict.fromkeys((Kind.CLAIM, Kind.AGAIN, Kind.APP), _ANSWERS_TO_A_CLAIM),
    Kind.EARLY: frozenset({Answer.NOT_OPEN}),
    Kind.BAD: frozenset({Answer.UNAUTHENTICATED}),
}


class Judge:
    """Judges the answers of one drop: every request has a kind, and a kind may be told only so much."""

    def __init__(self, round_id: str, opens_at_ms: int) -> None:
        self._read = Reader(round_id, opens_at_ms).read

    def judge(self, kind: int, status: bytes, body: bytes) -> Finding:
        """What this answer to a request of `kind` says. Never raises."""
        finding = self._read(status, body)
        told = finding.answer
        if told in _ALLOWED[kind] or told is Answer.WRONG:
            return finding
        misplaced = f"{told.name.lower()} told to a request of kind {Kind(kind).name.lower()}"
        return Finding(Answer.WRONG, error=finding.error or misplaced)
