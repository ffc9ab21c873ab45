"""The contenders: claimd by its lane and by aiohttp, the peers and the floor, all on one embedded Valkey."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil
from redis import Redis

from claimd.identity.keys import Keys
from loadtest.bench.peer_programs import CONSTANT, MissingError, Peer
from loadtest.bench.rounds import ClaimdRounds, NoRounds, PeerRounds, Rounds
from loadtest.client.credentials import TokenIssuer
from loadtest.client.heads import EqualHeads, Heads
from loadtest.target import claimd_up
from loadtest.target.console_client import ConsoleClient

LANE: Final = "claimd (lane)"
LANE_EQUAL: Final = "claimd (lane), equal heads"
CLAIMD_AIOHTTP: Final = "claimd (aiohttp door)"
CLAIMD: Final = "claimd"

# A field that no handler uses: the lane leaves every request with an unusual field to aiohttp.
_NOT_FOR_THE_LANE: Final = b"TE: trailers\r\n"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of deciding claims, or of serving visits. `key` is a part of its rounds' ids.

    `gateway` is the process that serves, or the parent of those that do. `heads` are those of its requests, `fields`
    more header lines, each with CRLF. `decides` is False for one that answers every claim with a constant.
    """

    key: str
    name: str
    port: int
    gateway: psutil.Process
    rounds: Rounds
    heads: Heads
    fields: bytes = b""
    decides: bool = True


@dataclass(frozen=True, slots=True)
class Field:
    """Who takes part. The floor is measured with `claim_peers`, if there are any contenders in claiming at all.

    `heads` are those of all requests; claimd claims with equal ones besides, where these differ.
    """

    claims: bool
    claim_peers: Sequence[Peer]
    visits: bool
    visit_peers: Sequence[Peer]
    heads: Heads


@dataclass(frozen=True, slots=True)
class Contenders:
    """All contenders, running, and the server they share.

    `sign` makes the bearer token of a subject. `left_out` has the reason for each peer that this machine cannot run.
    """

    claiming: list[Contender]
    visiting: list[Contender]
    server: psutil.Process
    redis: "Redis"
    redis_url: str
    keys: Keys
    sign: Callable[[str], str]
    left_out: dict[str, str]


@contextmanager
def started(home: Path, field: Field) -> Iterator[Contenders]:
    """Start all contenders in the folder `home`; stop them at the end. Raises TargetError."""
    with ExitStack() as stack:
        claimd = stack.enter_context(claimd_up.running(home, home / "claimd.log", workers=1))
        redis = stack.enter_context(Redis.from_url(claimd.redis_url))
        server, gateway = psutil.Process(claimd.pid("valkey")), psutil.Process(claimd.pid("gateway-0"))
        on_console = ClaimdRounds(ConsoleClient(claimd.console_url, claimd.admin_token))
        lane = Contender("lane", LANE, claimd.port, gateway, on_console, field.heads)
        left_out: dict[str, str] = {}

        def run(peers: Sequence[Peer]) -> Iterator[Contender]:
            for peer in peers:
                try:
                    port, child = stack.enter_context(peer.running(home, claimd.redis_url, claimd.jwks))
                except MissingError as error:
                    left_out[peer.name] = str(error)
                    continue
                rounds: Rounds = NoRounds() if peer is CONSTANT else PeerRounds(redis)
                process, decides = psutil.Process(child.pid), peer is not CONSTANT
                yield Contender(peer.key, peer.name, port, process, rounds, field.heads, decides=decides)

        claiming, visiting = [], []
        if field.claims:
            equal = replace(lane, key="equal", name=LANE_EQUAL, heads=EqualHeads())
            door = replace(lane, key="door", name=CLAIMD_AIOHTTP, fields=_NOT_FOR_THE_LANE)
            own = [lane, door] if isinstance(field.heads, EqualHeads) else [lane, equal, door]
            claiming = [*own, *run((*field.claim_peers, CONSTANT))]
        if field.visits:
            visiting = [replace(lane, key="claimd", name=CLAIMD), *run(field.visit_peers)]
        sign = TokenIssuer(claimd.jwks).token
        yield Contenders(claiming, visiting, server, redis, claimd.redis_url, claimd.keys, sign, left_out)
