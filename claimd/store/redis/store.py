"""The store in Redis or Valkey: one object for each port, over the same four pools of connections."""

import time

from claimd.store.durability import Durability
from claimd.store.installation import Installation
from claimd.store.redis.acknowledgement import acknowledgement_for
from claimd.store.redis.claims import RedisClaims
from claimd.store.redis.counts import RedisCounts
from claimd.store.redis.diagnosis import RedisDiagnosis
from claimd.store.redis.file_rewriter import RedisFileRewriter
from claimd.store.redis.installation_record import InstallationRecord
from claimd.store.redis.log import RedisLog
from claimd.store.redis.pools import TIMEOUT_SECONDS, Pools
from claimd.store.redis.readiness import RedisReadiness
from claimd.store.redis.rounds import RedisRounds
from claimd.store.redis.voids import RedisVoids


class RedisStore:
    """`claims`, `rounds`, `voids`, `log_reader`, `counts`, `readiness` and `file_rewriter` implement the ports.

    `installation` and `diagnosis` are for what starts and examines a role. With an `installation` of ours, no claim is
    decided and no round is shown to a client before the server has agreed to it.
    """

    def __init__(
        self, pools: Pools, durability: Durability = Durability.LOCAL, installation: Installation | None = None
    ) -> None:
        acknowledgement = acknowledgement_for(durability, time.monotonic)
        self.pools = pools
        self.installation = InstallationRecord(pools, installation)
        self.claims = RedisClaims(pools, acknowledgement, self.installation)
        self.rounds = RedisRounds(pools, acknowledgement, self.installation)
        self.voids = RedisVoids(pools, acknowledgement, self.installation)
        self.log_reader = RedisLog(pools.reads, self.rounds)
        self.counts = RedisCounts(pools.reads, pools.edit_calls)
        self.readiness = RedisReadiness(pools, acknowledgement, self.installation)
        self.file_rewriter = RedisFileRewriter(pools.reads)
        self.diagnosis = RedisDiagnosis(pools)

    @classmethod
    def connect(
        cls,
        url: str,
        durability: Durability = Durability.LOCAL,
        installation: Installation | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> "RedisStore":
        """A store at a URL of any kind (`addresses.py`). Connects with the first call.

        A call that takes `timeout_seconds` has failed.
        """
        return cls(Pools.connect(url, timeout_seconds), durability, installation)

    async def close(self) -> None:
        """Close all connections to the server."""
        await self.pools.close()
