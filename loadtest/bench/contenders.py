"""The contenders: claimd by its lane and by aiohttp, the peers and the floor, all on one embedded Valkey."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from redis import Redis

from claimd.identity.keys import Keys
from loadtest.bench.rounds import ClaimdRounds, NoRounds, PeerRounds, Rounds
from loadtest.target import children, claimd_up
from loadtest.target.console_client import ConsoleClient

LANE: Final = "claimd (lane)"
CLAIMD_AIOHTTP: Final = "claimd (aiohttp door)"
AIOHTTP: Final = "aiohttp + redis-py"
FASTAPI: Final = "FastAPI/uvicorn + redis-py"
CONSTANT: Final = "floor: httptools, a constant"

# A field that no handler uses: the lane leaves every request with an unusual field to aiohttp.
_NOT_FOR_THE_LANE: Final = b"TE: trailers\r\n"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of deciding claims. `header` has more header lines of its requests, each with CRLF.

    `decides` is False for one that answers every claim with a constant.
    """

    name: str
    port: int
    gateway: psutil.Process
    rounds: Rounds
    header: bytes = b""
    decides: bool = True


@dataclass(frozen=True, slots=True)
class Contenders:
    """All contenders, running, and the server they share."""

    all: list[Contender]
    server: psutil.Process
    redis: "Redis"
    redis_url: str
    keys: Keys


@contextmanager
def started(home: Path) -> Iterator[Contenders]:
    """Start all contenders in the folder `home`; stop them at the end. Raises TargetError."""
    with ExitStack() as stack:
        claimd = stack.enter_context(claimd_up.running(home, home / "claimd.log", workers=1))
        redis = stack.enter_context(Redis.from_url(claimd.redis_url))
        on_console = ClaimdRounds(ConsoleClient(claimd.console_url, claimd.admin_token))
        gateway = psutil.Process(claimd.pid("gateway-0"))
        contenders = [
            Contender(LANE, claimd.port, gateway, on_console),
            Contender(CLAIMD_AIOHTTP, claimd.port, gateway, on_console, _NOT_FOR_THE_LANE),
        ]
        for name, module, rounds in (
            (AIOHTTP, "aiohttp_redis", PeerRounds(redis)),
            (FASTAPI, "fastapi_redis", PeerRounds(redis)),
            (CONSTANT, "constant", NoRounds()),
        ):
            (port,) = claimd_up.free_ports(1)
            command = [sys.executable, "-m", f"loadtest.bench.peers.{module}", str(port), claimd.redis_url]
            log = home / f"{module}.log"
            child = stack.enter_context(
                children.running(command, claimd_up.inherited_environment(), log, cwd=claimd_up.ROOT)
            )
            claimd_up.await_listening(port, child, log)
            process = psutil.Process(child.pid)
            contenders.append(Contender(name, port, process, rounds, decides=not isinstance(rounds, NoRounds)))
        server = psutil.Process(claimd.pid("valkey"))
        yield Contenders(contenders, server, redis, claimd.redis_url, claimd.keys)
