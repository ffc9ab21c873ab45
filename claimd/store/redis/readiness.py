"""Whether the server decides claims now, which `/readyz` asks: tried with the script itself, as PING is not enough.

A server that is full, loading, or a replica replies to PING, but rejects a script that may write.
"""

from claimd.domain.claims import IDENTITY_BYTES
from claimd.domain.rounds import FIRST_EPOCH
from claimd.store.errors import StoreUnavailable
from claimd.store.fields import flag_text
from claimd.store.redis import keys
from claimd.store.redis.acknowledgement import Acknowledgement
from claimd.store.redis.installation_record import InstallationRecord
from claimd.store.redis.pools import Pools
from claimd.store.redis.scripts import load_script

# No round has this id, so the script reads and changes nothing.
_NO_ROUND = ""


class RedisReadiness:
    """Implements `Readiness`."""

    def __init__(self, pools: Pools, acknowledgement: Acknowledgement, installation: InstallationRecord) -> None:
        self._pools = pools
        self._acknowledgement = acknowledgement
        self._installation = installation
        self._script = load_script("claim")

    async def ping(self) -> None:
        """See `Readiness.ping`. Where replicas confirm claims, one of them must be connected."""
        if not self._installation.agreed:
            await self._installation.agree()
        names = keys.of_round(_NO_ROUND).of_claims
        args = (_NO_ROUND, str(FIRST_EPOCH), flag_text(False), bytes(IDENTITY_BYTES))
        commands = self._acknowledgement.presence_commands()
        _, replies = await self._pools.edit_calls.call_with_followups(self._script, names, args, commands)
        if not self._acknowledgement.has_replica(replies):
            raise StoreUnavailable("no replica is connected that could confirm a claim")
