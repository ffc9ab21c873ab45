"""A server that accepts stalled clients and disconnects them, and does nothing else: their cost without claimd.

`python -m loadtest.stalled.idle_server PORT` runs until it is stopped.
"""

import asyncio
import os
import sys
from typing import Final, cast

_BACKLOG: Final = 4096
# After as long as claimd waits for the end of a head.
_PATIENCE_SECONDS: Final = 10.0


class _Accepted(asyncio.Protocol):
    """A connection that is closed when claimd would close it for a head that does not end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time until it is closed."""
        asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, cast(asyncio.Transport, transport).abort)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Accepted, "127.0.0.1", port, backlog=_BACKLOG)
    await server.serve_forever()


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    asyncio.run(_serve(int(sys.argv[1])))
