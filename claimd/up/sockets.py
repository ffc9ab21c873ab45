"""The listening sockets of a `claimd up`, bound before anything is started: a taken port is reported at once."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from claimd.errors import StartError
from claimd.settings import Settings
from claimd.supervisor.listeners import listen

_RETRY_SECONDS = 0.05


@dataclass
class Sockets:
    """One socket for each gateway, all on one port, and one for the console."""

    gateway: list[socket.socket] = field(default_factory=list)
    console: list[socket.socket] = field(default_factory=list)

    async def open(self, settings: Settings, grace_seconds: float) -> None:
        """Bind both ports. Retries for `grace_seconds`, while a predecessor may be ending; then raises StartError."""
        deadline = asyncio.get_running_loop().time() + grace_seconds
        while True:
            try:
                self.gateway = self.gateway or listen(settings.host, settings.port, workers=settings.workers)
                self.console = listen(settings.console_host, settings.console_port, setting="console-port")
                return
            except StartError:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this process's copies; closing twice is harmless."""
        for listener in (*self.gateway, *self.console):
            listener.close()


def port_of(listeners: Sequence[socket.socket]) -> int:
    """The port that these sockets share."""
    return int(listeners[0].getsockname()[1])
