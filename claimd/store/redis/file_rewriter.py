"""The server's append-only file, rewritten on demand, so that what was archived leaves the disk too."""

from redis.asyncio import Redis

from claimd.store.errors import StoreUnavailable
from claimd.store.redis.errors import translated_errors
from claimd.store.redis.replies import awaited


class RedisFileRewriter:
    """Implements `FileRewriter`."""

    def __init__(self, reads: Redis) -> None:
        self._reads = reads

    async def rewrite_file(self) -> None:
        """See `FileRewriter.rewrite_file`."""
        try:
            with translated_errors():
                await awaited(self._reads.bgrewriteaof())
        except StoreUnavailable as error:
            # A rewrite runs already, or begins when a snapshot is done: that is as good.
            if "in progress" not in str(error):
                raise
