"""What a store of rounds and claims must do. One conformance suite holds the real store and the model to it."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, NamedTuple, Protocol

from claimd.domain.archived import Archived
from claimd.domain.claims import Claim
from claimd.domain.log import ADMIN, EditAction, LogEntry
from claimd.domain.outcomes import Decision, EditOutcome
from claimd.domain.rounds import FIRST_EPOCH, Definition, Round, Status

MAX_BATCH = 512


class Reading(NamedTuple):
    """A round, or None where there is none, as it was at `now_ms` of the server's clock.

    Of a round that has left the server there is only `archived`.
    """

    now_ms: int
    round: Round | None
    archived: Archived | None = None


class Edited(NamedTuple):
    """What became of an edit, and the round as it is now; `archived` in its place where it has left the server."""

    outcome: EditOutcome
    now_ms: int
    round: Round | None
    archived: Archived | None = None


class ClaimLookup(NamedTuple):
    """The claim that an identity holds, and whether the round exists at all, or has left the server."""

    round_exists: bool
    claim: Claim | None
    archived: bool = False


class Position(NamedTuple):
    """Where a round stands in the list of rounds: by opening time, then id."""

    opens_at_ms: int
    round_id: str


class RoundsPage(NamedTuple):
    """Some rounds of a list as they were at `now_ms` of the server's clock; the next page is behind `next`, if any."""

    now_ms: int
    rounds: list[Round]
    next: Position | None


class RecentRounds(NamedTuple):
    """Rounds as they were at `now_ms` of the server's clock, and how many more were left out."""

    now_ms: int
    rounds: list[Round]
    left_out: int


class Store(Protocol):
    """Every method raises StoreUnavailable when the server does not answer; then the outcome is unknown.

    It is StoreRejected, a kind of it, where it is certain that nothing was done.
    """

    async def claim(self, round_id: str, identities: Sequence[bytes], epoch: int = FIRST_EPOCH) -> list[Decision]:
        """Decide 1 to MAX_BATCH claims, in order, as one atomic step.

        `epoch` is the eligibility epoch under which all of them were admitted. Where the round has another one, claims
        that are held are REPLAYED, and all others PASS_OUTDATED.
        """
        ...

    async def round_create(self, definition: Definition, reason: str, who: str = ADMIN) -> Edited:
        """Create a round: DONE or ROUND_EXISTS."""
        ...

    async def round_edit(
        self,
        round_id: str,
        changes: dict[str, Any],
        reason: str,
        *,
        action: EditAction = EditAction.EDIT,
        who: str = ADMIN,
        if_version: int | None = None,
    ) -> Edited:
        """Change fields of a Definition (not its id), `paused` or `closed`: all or nothing.

        `total_change`, in the place of `total`, is added to what the total is by then. An edit of `eligibility` to
        another value, and the action REVOKE_PASSES, begin a new epoch. With `if_version`, VERSION_MISMATCH where the
        round has another version.
        """
        ...

    async def round_delete(
        self, round_id: str, reason: str, *, who: str = ADMIN, if_version: int | None = None
    ) -> Edited:
        """Delete a round in which nothing was ever issued, else HAS_CLAIMS. `Edited.round` is the round as it was."""
        ...

    async def round_archive(
        self, round_id: str, *, version: int, issued: int, sha256: str, file: str, reason: str, who: str = ADMIN
    ) -> Edited:
        """Remove a closed round's claims and log, which `file` holds, and keep a stub of it (`Edited.archived`).

        VERSION_MISMATCH where it has another version, or has issued another number of claims; NOT_CLOSED. DONE, with
        nothing changed, where it was archived before: the stub then has the file and digest of that time.
        """
        ...

    async def round(self, round_id: str) -> Reading:
        """Read one round."""
        ...

    async def rounds_page(self, statuses: Collection[Status], after: Position | None, limit: int) -> RoundsPage:
        """Up to `limit` rounds of these statuses, ordered by opening time, then id, from behind `after`.

        There may be fewer of them and a next page: what one call reads is bounded. A round that is edited between two
        pages may be on both, or on none, where its place was behind it. One that cannot be read is left out.
        """
        ...

    async def recent_rounds(self, over_for_ms: int, limit: int) -> RecentRounds:
        """Up to `limit` rounds that are not over, then those that are over for less than so many milliseconds."""
        ...

    async def find_claim(self, round_id: str, identity: bytes) -> ClaimLookup:
        """What an identity holds in a round."""
        ...

    def log(self, round_id: str) -> AsyncIterator[LogEntry]:
        """The round's log from its beginning to where it ended when the reading began."""
        ...

    def claims(self, round_id: str) -> AsyncIterator[tuple[bytes, Claim]]:
        """Every claim held, with its identity, in no order.

        One that was there from the beginning to the end comes at least once, but may come twice while the server
        rehashes.
        """
        ...

    async def ping(self) -> None:
        """Return if the store can decide claims."""
        ...
