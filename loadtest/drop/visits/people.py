"""The people of one generator: how far each is with the visit, what each holds, and which requests wait for that."""

from array import array
from enum import IntEnum
from typing import Final

from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client.minting import Tokens
from loadtest.client.visit_answers import RoundRead
from loadtest.crowd.schedule import Kind


class Holds(IntEnum):
    """What a person has by now, a bit each: the round, a pass, a definite answer to a claim.

    Not an IntFlag, whose `|` is Python code and would be a tenth of what a request may cost.
    """

    ROUND = 1
    PASS = 2
    ANSWER = 4


# What a request needs, by its kind.
_NEEDS: Final[dict[Kind, int]] = {
    Kind.CLAIM: Holds.PASS,
    Kind.AGAIN: Holds.PASS,
    Kind.EARLY: Holds.PASS,
    Kind.BAD: Holds.PASS,
    Kind.APP: Holds.PASS,
    Kind.ROUND: 0,
    Kind.PASS: Holds.ROUND,
    Kind.LOOK: Holds.ROUND,
    Kind.MINE: Holds.PASS | Holds.ANSWER,
}
NEEDS: Final = bytes(_NEEDS[kind] for kind in sorted(_NEEDS))


class People:
    """Every `step`-th number from `first` on: persons, and after them bad passes, which are there from the beginning.

    A person's slot is number // step.
    """

    def __init__(self, numbers: range, tokens: Tokens) -> None:
        """`tokens` are those of the first slots, the people; the numbers behind them are bad passes."""
        self.step = numbers.step
        self.tokens = tokens
        self.holds = bytearray(len(numbers))
        self.waiting: dict[int, list[int]] = {}
        """Rows that are due, by the slot of the person who lacks something for them."""
        self._passes = bytearray(len(numbers) * PASS_CHARACTERS)
        # The number of a round that was read, from 1: few are different, and the people are many.
        self._read = array("i", [0]) * len(numbers)
        self._known: dict[bytes, int] = {}
        self._rounds: list[tuple[bytes, RoundRead | None]] = [(b"", None)]

    def give_pass(self, slot: int, text: bytes) -> None:
        """Keep a pass that is there from the beginning."""
        self.keep_pass(slot, text)
        self.holds[slot] |= Holds.PASS

    def keep_pass(self, slot: int, text: bytes) -> None:
        """Remember a pass, of 68 characters; `holds` is left as it is."""
        at = slot * PASS_CHARACTERS
        self._passes[at : at + PASS_CHARACTERS] = text

    def pass_of(self, slot: int) -> bytes:
        """The pass that the person holds."""
        at = slot * PASS_CHARACTERS
        return bytes(self._passes[at : at + PASS_CHARACTERS])

    def remember_round(self, slot: int, etag: bytes, read: RoundRead) -> None:
        """Remember the round as it was read with this `etag`, for the person's next look at it."""
        number = self._known.get(etag)
        if number is None:
            self._known[etag] = number = len(self._rounds)
            self._rounds.append((etag, read))
        self._read[slot] = number

    def round_of(self, slot: int) -> tuple[bytes, RoundRead | None]:
        """The ETag that the person remembers and the round that came with it; none where the server sent no ETag."""
        return self._rounds[self._read[slot]]
