"""Voids in Redis or Valkey: one call of claim_void.lua, after the log has told whose claim a serial is."""

from collections.abc import AsyncIterator

from claimd.domain.log import ADMIN, GrantsEntry
from claimd.domain.outcomes import EditOutcome
from claimd.store.fields import flag_text
from claimd.store.ports import Voiding
from claimd.store.redis import keys
from claimd.store.redis.acknowledgement import Acknowledgement
from claimd.store.redis.codec import read_entry, read_voided
from claimd.store.redis.errors import translated_errors
from claimd.store.redis.installation_record import InstallationRecord
from claimd.store.redis.pools import Pools
from claimd.store.redis.replies import awaited
from claimd.store.redis.scripts import load_script

# An entry has up to 512 grants, 8 KB; the one that is looked for is mostly the first, as others are rare among grants.
_PAGE = 4


class RedisVoids:
    """Implements `ClaimVoider`."""

    def __init__(self, pools: Pools, acknowledgement: Acknowledgement, installation: InstallationRecord) -> None:
        self._pools = pools
        self._acknowledgement = acknowledgement
        self._installation = installation
        self._script = load_script("claim_void")

    async def claim_void(self, round_id: str, serial: int, *, bar: bool, reason: str, who: str = ADMIN) -> Voiding:
        """See `ClaimVoider.claim_void`."""
        if not self._installation.agreed:
            await self._installation.agree()
        names = keys.of_round(round_id)
        # Without the grant in the log the script still finds out whether there is such a round.
        identity = await self._granted_to(round_id, serial) or b""
        reply, replies = await self._pools.edit_calls.call_with_followups(
            self._script,
            (names.round, names.log, names.claims, names.voids),
            (round_id, str(serial), identity, flag_text(bar), who, reason),
            self._acknowledgement.confirmation_commands(),
        )
        now_ms, word, *void = reply
        outcome = EditOutcome(word.decode())
        self._acknowledgement.require_confirmed_edit(outcome, replies)
        return Voiding(outcome, now_ms, read_voided(b"%d" % serial, void[0]) if void else None)

    async def _granted_to(self, round_id: str, serial: int) -> bytes | None:
        """The identity that a serial was granted to, by the log; None where it was not granted.

        Serials rise with the times of the log's entries: bisection reads some forty entries of a log of any length.
        """
        key = keys.of_round(round_id).log
        with translated_errors():
            newest = await awaited(self._pools.reads.xrevrange(key, count=1))
            oldest = await awaited(self._pools.reads.xrange(key, count=1))
        if not newest or not oldest:
            return None
        # The grant was not before `low`, and is before `high`; in milliseconds.
        low, high = _time_of(oldest[0][0]), _time_of(newest[0][0]) + 1
        while high - low > 1:
            middle = (low + high) // 2
            found = await self._first_grants(round_id, middle, high)
            if found is None or serial < found[1].first_serial:
                high = middle
            else:
                low = found[0]
        async for _, entry in self._grants(round_id, low, high):
            if entry.first_serial <= serial < entry.first_serial + len(entry):
                return entry.split()[serial - entry.first_serial]
        return None

    async def _first_grants(self, round_id: str, low: int, high: int) -> tuple[int, GrantsEntry] | None:
        async for found in self._grants(round_id, low, high):
            return found
        return None

    async def _grants(self, round_id: str, low: int, high: int) -> AsyncIterator[tuple[int, GrantsEntry]]:
        """The grants of a round from `low` on and before `high`, each with the time of its entry."""
        start, end = b"%d-0" % low, b"(%d-0" % high
        while True:
            with translated_errors():
                page = await awaited(
                    self._pools.reads.xrange(keys.of_round(round_id).log, min=start, max=end, count=_PAGE)
                )
            for entry_id, fields in page:
                entry = read_entry(round_id, fields)
                if isinstance(entry, GrantsEntry):
                    yield _time_of(entry_id), entry
            if len(page) < _PAGE:
                return
            start = b"(" + page[-1][0]


def _time_of(entry_id: bytes) -> int:
    """The time in the id of an entry of a stream, in milliseconds since 1970."""
    return int(entry_id.partition(b"-")[0])
