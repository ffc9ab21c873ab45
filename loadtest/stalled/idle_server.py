"""A server for clients that stall which does nothing but take and hang up: what they cost a machine without claimd.

`python -m loadtest.stalled.idle_server PORT` runs until it is stopped.
"""

import asyncio
import os
import sys
from typing import Final, cast

_BACKLOG: Final = 4096
# As long as claimd has patience with a head that does not end.
_PATIENCE_SECONDS: Final = 10.0


class _Taken(asyncio.Protocol):
    """Hangs up when claimd would hang up on a head that does not end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted."""
        asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, cast(asyncio.Transport, transport).abort)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Taken, "127.0.0.1", port, backlog=_BACKLOG)
    await server.serve_forever()


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    asyncio.run(_serve(int(sys.argv[1])))
