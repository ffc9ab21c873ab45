"""What `claimd doctor` tries on the server and finds nowhere else: which commands are denied, and what replicas do."""

from typing import Any

from claimd.store.redis import keys
from claimd.store.redis.acknowledgement import confirmation_commands
from claimd.store.redis.acl import NEEDED
from claimd.store.redis.errors import translated_errors
from claimd.store.redis.pools import Pools
from claimd.store.redis.scripts import load_script


class RedisDiagnosis:
    """Trials that change nothing but a mark. Every method raises StoreUnavailable."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._acl_denied = load_script("acl_denied")

    async def acl_denied(self) -> list[str]:
        """The commands of `acl.NEEDED` that the server does not permit to our user."""
        reply = await self._pools.edit_calls.call(self._acl_denied, (keys.of_round("").round,), ("\n".join(NEEDED),))
        return [command.decode() for command in reply]

    async def try_confirmation(self) -> list[Any]:
        """Write a mark and wait until a replica has it: the replies to `confirmation_commands`, errors as values."""
        with translated_errors():
            pipeline = self._pools.reads.pipeline(transaction=False)
            pipeline.hset(keys.DOCTOR, "tried", "1")
            for command in confirmation_commands():
                pipeline.execute_command(*command)
            written, *replies = await pipeline.execute(raise_on_error=False)
            if isinstance(written, Exception):
                # With nothing written there is nothing to wait for, which looks like a confirmation.
                raise written
        return replies
