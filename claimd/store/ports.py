"""The ports of the store: what each part of claimd may ask of it, one narrow protocol for each kind of user.

`redis/store.py` implements all of them on Redis or Valkey, `memory.py` those that decide in plain Python; one
conformance suite holds both to what is written here. Every method raises StoreUnavailable when the server does
not reply: the outcome is unknown then. The error is StoreRejected, a kind of it, where the call was certainly not
executed. All times are the server's clock, in milliseconds since 1970.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from claimd.domain.archived import Archived
from claimd.domain.claims import Claim, VoidedClaim
from claimd.domain.log import ADMIN, EditAction, LogEntry
from claimd.domain.outcomes import Decision, EditOutcome
from claimd.domain.rounds import FIRST_EPOCH, Definition, Round, Status
from claimd.store.errors import StoreDamaged
from claimd.store.saved_counts import MergeOutcome, Saved, SavedCounts

# Claims that one call of ClaimStore.claim may decide.
MAX_BATCH = 512


class Reading(NamedTuple):
    """A round as it was at `now_ms`, or None where there is no such round.

    Of a round that was archived the server keeps `archived` alone.
    """

    now_ms: int
    round: Round | None
    archived: Archived | None = None


class Edited(NamedTuple):
    """The outcome of an edit at `now_ms`, and the round after it; `archived` in its place for an archived round."""

    outcome: EditOutcome
    now_ms: int
    round: Round | None
    archived: Archived | None = None


class Voiding(NamedTuple):
    """The outcome of a void at `now_ms`, and the voided claim where it is DONE."""

    outcome: EditOutcome
    now_ms: int
    claim: VoidedClaim | None = None


class Position(NamedTuple):
    """The place of a round in the list of rounds, which is sorted by opening time, then id."""

    opens_at_ms: int
    round_id: str


class RoundsPage(NamedTuple):
    """Some rounds as they were at `now_ms`. The next page begins behind `next`; None on the last page."""

    now_ms: int
    rounds: list[Round]
    next: Position | None


class RecentRounds(NamedTuple):
    """Rounds as they were at `now_ms`, and how many more the limit left out."""

    now_ms: int
    rounds: list[Round]
    left_out: int


class ClaimStore(Protocol):
    """What the engine and `GET …/claims/me` need: decide claims, and look one up."""

    async def claim(self, round_id: str, identities: Sequence[bytes], epoch: int = FIRST_EPOCH) -> list[Decision]:
        """Decide 1 to MAX_BATCH claims as one atomic step, and return a decision for each, in the same order.

        `epoch` is the eligibility epoch in which all of them were admitted. Where the round has another one, identities
        that have a claim are REPLAYED, and all others PASS_OUTDATED.
        """
        ...

    async def find_claims(self, round_id: str, identities: Sequence[bytes]) -> list[Decision]:
        """Look up the claims of 1 to MAX_BATCH identities, and change nothing.

        A decision for each, in the same order: REPLAYED with the claim that it holds, NOT_CLAIMED, ROUND_NOT_FOUND or
        ARCHIVED; UNAVAILABLE for a claim that a failover may lose.
        """
        ...


class RoundReader(Protocol):
    """Rounds as they are now, one or many."""

    async def round(self, round_id: str) -> Reading:
        """The round of an id, and the server time at which it was read. Raises StoreDamaged if it cannot be read."""
        ...

    async def readings(self, round_ids: Sequence[str]) -> list[Reading | StoreDamaged]:
        """The rounds of these ids, in the same order, in one exchange with the server.

        A round that cannot be read has its error in its place.
        """
        ...

    async def rounds_page(self, statuses: Collection[Status], after: Position | None, limit: int) -> RoundsPage:
        """Up to `limit` rounds of these statuses, sorted by opening time, then id, from behind `after`.

        A page may have fewer rounds and still a next one, as a call reads a bounded number of rounds. A round that is
        edited between two pages may be on both, or on none, where its place was behind it. A round that cannot be read
        is left out.
        """
        ...

    async def recent_rounds(self, over_for_ms: int, limit: int) -> RecentRounds:
        """Up to `limit` rounds: those that are not over, then those that have been over for less than `over_for_ms`."""
        ...


class RoundStore(RoundReader, Protocol):
    """Rounds, and every change that an operator can make to one."""

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
        """Change fields of a Definition (not its id), `paused` or `closed`: all of them, or none.

        `total_change`, in the place of `total`, is added to the total of that moment. An edit of `eligibility` to
        another value, and the action REVOKE_PASSES, begin a new epoch. With `if_version`, VERSION_MISMATCH where the
        round has another version.
        """
        ...

    async def round_delete(
        self, round_id: str, reason: str, *, who: str = ADMIN, if_version: int | None = None
    ) -> Edited:
        """Delete a round that has never issued a claim, else HAS_CLAIMS. `Edited.round` is the round as it was."""
        ...

    async def round_archive(
        self,
        round_id: str,
        *,
        version: int,
        issued: int,
        voided: int,
        sha256: str,
        file: str,
        reason: str,
        who: str = ADMIN,
    ) -> Edited:
        """Remove the claims and the log of a closed round, which `file` has, and keep a stub (`Edited.archived`).

        VERSION_MISMATCH where the round has another version or number of grants or voids; NOT_CLOSED. DONE, with
        nothing changed, where it was archived before: the stub then has the file and the digest of that time.
        """
        ...


class ClaimVoider(Protocol):
    """What an operator takes a claim back by."""

    async def claim_void(self, round_id: str, serial: int, *, bar: bool, reason: str, who: str = ADMIN) -> Voiding:
        """Void the claim of a serial: DONE, ROUND_NOT_FOUND, ARCHIVED or NO_SUCH_CLAIM.

        Its pack is claimable again at once, its serial is not. Its person may claim again, or is BARRED with `bar`.
        DONE, with nothing changed, where it was voided before, whatever `bar` says.
        """
        ...


class LogReader(Protocol):
    """All records of one round: what an audit, an export and an archive read."""

    async def round(self, round_id: str) -> Reading:
        """The round as it is now."""
        ...

    def log(self, round_id: str) -> AsyncIterator[LogEntry]:
        """The round's log from its beginning to where it ended when the reading began."""
        ...

    def claims(self, round_id: str) -> AsyncIterator[tuple[bytes, Claim]]:
        """Every claim with its identity, in no order.

        A claim that exists from the beginning to the end of the reading comes at least once, but may come twice while
        the server rehashes.
        """
        ...

    def voids(self, round_id: str) -> AsyncIterator[VoidedClaim]:
        """Every claim that was voided, in no order; like claims they may come twice."""
        ...


class CountsStore(Protocol):
    """The counts that gateways save, and that the console merges and shows."""

    async def save(self, run: str, seen_ms: int | None, waiting: int, changes: Mapping[str, int]) -> Saved:
        """Save up to MAX_CHANGES counters of a run, and the number of waiting claims.

        `seen_ms` is the time of the run's last save; with None any last save will do.
        """
        ...

    async def merge(self, run: str, silent_ms: int) -> MergeOutcome:
        """Add a run to the past unless it has saved within `silent_ms`."""
        ...

    async def forget_merged(self) -> None:
        """Forget the names of merged runs, MERGED_KEPT_MS after their last save."""
        ...

    async def load(self) -> SavedCounts:
        """All saved counts, as of one moment."""
        ...

    async def old(self) -> Mapping[str, bytes]:
        """The counts that gateways of builds before 0.1.0 saved, as JSON by gateway."""
        ...

    async def forget_old(self, gateways: Sequence[str]) -> None:
        """Remove the counts that these gateways of builds before 0.1.0 saved."""
        ...

    async def rounds_over(self, round_ids: Sequence[str], for_ms: int) -> set[str]:
        """The rounds among these that have been over for `for_ms`, or that do not exist."""
        ...

    async def settle(self, moves: Mapping[str, str]) -> None:
        """Within the past, add each counter to the sum that `moves` names for it, and remove the counter."""
        ...


class Readiness(Protocol):
    """Whether the store can decide claims now."""

    async def ping(self) -> None:
        """Return if it can, else raise StoreUnavailable."""
        ...


class FileRewriter(Protocol):
    """The append-only file of the server, which grows with every write."""

    async def rewrite_file(self) -> None:
        """Start to rewrite the file in the background, with only what the server holds now."""
        ...
