"""Claims in Redis or Valkey: a batch is decided by one call of claim.lua, or looked up by one of claims_find.lua."""

from collections.abc import Sequence

from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import FIRST_EPOCH, NO_EPOCH
from claimd.store.fields import flag_text
from claimd.store.redis import keys
from claimd.store.redis.acknowledgement import Acknowledgement
from claimd.store.redis.call_groups import CallGroups
from claimd.store.redis.codec import read_decisions, read_found
from claimd.store.redis.installation_record import InstallationRecord
from claimd.store.redis.pools import Pools
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
        lookups = pools.lookup_calls
        self._lookups = CallGroups(
            lookups, load_script("claims_find"), lookups.max_connections, lookups.timeout_seconds
        )
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

    async def find_claims(self, round_id: str, identities: Sequence[bytes]) -> list[Decision]:
        """See `ClaimStore.find_claims`."""
        if not self._installation.agreed:
            await self._installation.agree()
        names = keys.of_round(round_id)
        reply, _ = await self._lookups.call_with_followups((names.round, names.claims), (b"".join(identities),), ())
        found = read_found(reply, len(identities))
        if self._acknowledgement.rewrite_replays:
            return await self._confirmed(round_id, identities, found)
        return found

    async def _confirmed(self, round_id: str, identities: Sequence[bytes], found: list[Decision]) -> list[Decision]:
        """The same, each claim as a replica has confirmed it: to show a claim is to acknowledge it.

        They are claimed again, in an epoch that grants nothing, as the reading may have come from another server.
        UNAVAILABLE where no replica confirms it.
        """
        held = [at for at, decision in enumerate(found) if decision.serial]
        if not held:
            return found
        calls, acknowledgement = self._pools.lookup_calls, self._acknowledgement
        names, args = self._call(round_id, [identities[at] for at in held], NO_EPOCH)
        commands = acknowledgement.confirmation_commands()
        reply, replies = await calls.call_with_followups(self._script, names, args, commands)
        decisions, confirmed = acknowledgement.confirm(read_decisions(reply, len(held)), replies)
        if not confirmed:
            # As in `claim`.
            await calls.abandon()
        for at, decision in zip(held, decisions, strict=True):
            found[at] = decision if decision.serial else Decision(Outcome.UNAVAILABLE)
        return found

    def _call(self, round_id: str, identities: Sequence[bytes], epoch: int) -> ScriptCall:
        return keys.of_round(round_id).of_claims, (round_id, str(epoch), self._rewrite, b"".join(identities))
