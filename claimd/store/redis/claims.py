"""Claims in Redis or Valkey: a batch is decided by one call of claim.lua, a lookup reads one field."""

from collections.abc import Sequence
from typing import cast

from claimd.domain.claims import Claim
from claimd.domain.outcomes import Decision
from claimd.domain.rounds import FIRST_EPOCH, NO_EPOCH
from claimd.store.errors import StoreUnavailable
from claimd.store.fields import flag_text
from claimd.store.ports import ClaimLookup
from claimd.store.redis import keys
from claimd.store.redis.acknowledgement import Acknowledgement
from claimd.store.redis.call_groups import CallGroups
from claimd.store.redis.codec import claim_of, read_decisions
from claimd.store.redis.errors import translated_errors
from claimd.store.redis.installation_record import InstallationRecord
from claimd.store.redis.pools import Pools
from claimd.store.redis.replies import without_errors
from claimd.store.redis.script_calls import ScriptCall
from claimd.store.redis.scripts import load_script


class RedisClaims:
    """Implements `ClaimStore`. Decides and shows nothing before the server has agreed to the installation."""

    def __init__(self, pools: Pools, acknowledgement: Acknowledgement, installation: InstallationRecord) -> None:
        self._pools = pools
        self._acknowledgement = acknowledgement
        self._installation = installation
        self._script = load_script("claim")
        calls = pools.claim_calls
        self._groups = CallGroups(calls, self._script, calls.max_connections, calls.timeout_seconds)
        self._rewrite = flag_text(acknowledgement.rewrite_replays)

    async def claim(self, round_id: str, identities: Sequence[bytes], epoch: int = FIRST_EPOCH) -> list[Decision]:
        """See `ClaimStore.claim`."""
        if not self._installation.agreed:
            await self._installation.agree()
        acknowledgement = self._acknowledgement
        names, args = self._call(round_id, identities, epoch)
        reply, replies = await self._groups.call_with_followups(names, args, acknowledgement.confirmation_commands())
        decisions, confirmed = acknowledgement.confirm(read_decisions(reply, len(identities)), replies)
        if not confirmed:
            # A primary without a replica may have been demoted; the address may lead to another server now.
            await self._pools.claim_calls.abandon()
        return decisions

    async def find_claim(self, round_id: str, identity: bytes) -> ClaimLookup:
        """See `ClaimStore.find_claim`."""
        if not self._installation.agreed:
            await self._installation.agree()
        names = keys.of_round(round_id)
        with translated_errors():
            pipeline = self._pools.reads.pipeline(transaction=False)
            pipeline.hexists(names.round, "total")
            pipeline.hexists(names.round, "archived")
            pipeline.hget(names.claims, cast(str, identity))
            exists, archived, value = without_errors(await pipeline.execute(raise_on_error=False))
        claim = claim_of(round_id, value) if value else None
        if claim is not None and self._acknowledgement.rewrite_replays:
            claim = await self._confirmed_claim(round_id, identity)
        return ClaimLookup(bool(exists), claim, bool(archived))

    async def _confirmed_claim(self, round_id: str, identity: bytes) -> Claim:
        """The claim as a replica has confirmed it: to show a claim is to acknowledge it.

        It is claimed again, in an epoch that grants nothing, as the reading may have come from another server. Raises
        StoreUnavailable where no replica confirms it.
        """
        calls, acknowledgement = self._pools.lookup_calls, self._acknowledgement
        names, args = self._call(round_id, [identity], NO_EPOCH)
        commands = acknowledgement.confirmation_commands()
        reply, replies = await calls.call_with_followups(self._script, names, args, commands)
        (decision,), confirmed = acknowledgement.confirm(read_decisions(reply, 1), replies)
        if not confirmed:
            # As in `claim`.
            await calls.abandon()
        if not decision.serial:
            raise StoreUnavailable("no replica has confirmed the claim: a failover may lose it")
        return Claim(round_id, decision.serial, decision.claimed_at_ms)

    def _call(self, round_id: str, identities: Sequence[bytes], epoch: int) -> ScriptCall:
        return keys.of_round(round_id), (round_id, str(epoch), self._rewrite, b"".join(identities))
