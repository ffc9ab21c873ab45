"""Whether an answer is what it should be. A correct refusal is a success; the rest is an error.

The crowd gets no second chance: a 503 is an error here, because a drop that turns people away did not hold.
Only the app users (`users.py`) retry, as an app would.
"""

from typing import Final

from loadtest.client.answers import Finding, Reader, Told
from loadtest.crowd.schedule import Kind

# What may be told rightly to somebody of the crowd who gets no claim, beside "sold out".
REFUSED: Final = (Told.NOT_OPEN, Told.UNAUTHENTICATED)

_ANSWERS_TO_A_CLAIM: Final = frozenset({Told.GRANTED, Told.REPLAYED, Told.SOLD_OUT})
_ALLOWED: Final[dict[int, frozenset[Told]]] = {
    **dict.fromkeys((Kind.CLAIM, Kind.AGAIN, Kind.APP), _ANSWERS_TO_A_CLAIM),
    Kind.EARLY: frozenset({Told.NOT_OPEN}),
    Kind.BAD: frozenset({Told.UNAUTHENTICATED}),
}


class Judge:
    """Judges the answers of one drop: every request has a kind, and a kind may be told only so much."""

    def __init__(self, round_id: str, opens_at_ms: int) -> None:
        self._read = Reader(round_id, opens_at_ms).read

    def judge(self, kind: int, status: bytes, body: bytes) -> Finding:
        """What this answer to a request of `kind` says. Never raises."""
        finding = self._read(status, body)
        told = finding.told
        if told in _ALLOWED[kind] or told is Told.WRONG:
            return finding
        misplaced = f"{told.name.lower()} told to a request of kind {Kind(kind).name.lower()}"
        return Finding(Told.WRONG, error=finding.error or misplaced)
