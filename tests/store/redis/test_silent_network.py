"""A network that forgets connections: what was open is silent from one moment to the next, and new connections work.

A proxy between store and server does it. Where a test needs a connection that was idle for long, no connection is
trusted, so that nothing depends on how fast the machine is.
"""

import asyncio
import errno
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import ConnectionPool

from claimd.domain.rounds import FIRST_EPOCH, NOT_OVER
from claimd.store.errors import StoreRejected, StoreUnavailable
from claimd.store.redis import connections, keys
from claimd.store.redis.connections import IdleConnections
from claimd.store.redis.pools import Pools
from claimd.store.redis.script_calls import ScriptCalls
from claimd.store.redis.scripts import Script, load_script
from claimd.store.redis.store import RedisStore
from loadtest.faults.proxy import Proxy, Wires
from tests.patience import patient_store
from tests.rounds import definition, identity
from tests.servers import Server, free_port

# Of a call: only what fails waits that long, once for each connection that is tried in vain.
CALL_SECONDS = 8.0
ROUNDS = [f"r{number}" for number in range(20)]
# For claims as many as there may be, for edits, and one for each reading.
ALL_CONNECTIONS = 16 + 4 + len(ROUNDS)
ECHO = Script("echo", "#!lua\nreturn { ARGV[1] }", "", (), ("call",))
CLAIM = load_script("claim")
NAMES = keys.of_round("r0").of_claims


@pytest.fixture
def proxy(valkey: Server) -> Iterator[Proxy]:
    """In front of the server, on a path that is short enough."""
    with (
        tempfile.TemporaryDirectory(prefix="claimd-proxy-") as folder,
        Proxy.running(Path(folder) / "p", valkey.folder / "s") as running,
    ):
        yield running


@pytest.fixture
async def busy(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RedisStore]:
    """A store through the proxy with as many connections of each kind as there may be, all of them idle for long."""
    store = RedisStore(Pools.connect(f"unix://{proxy.listen}", timeout_seconds=CALL_SECONDS))
    for round_id in ROUNDS:
        await store.rounds.round_create(definition(round_id), reason="for a test")
    await asyncio.gather(
        # By themselves: claims of rounds that come at once share connections.
        *(_claim(store.pools.claim_calls) for _ in ROUNDS),
        *(store.rounds.round(round_id) for round_id in ROUNDS),
        *(store.rounds.round_edit(round_id, {"paused": False}, "for a test") for round_id in ROUNDS),
    )
    assert proxy.connected == ALL_CONNECTIONS
    monkeypatch.setattr(connections, "TRUSTED_SECONDS", 0.0)
    monkeypatch.setattr(store.pools.claim_calls._idle, "_trusted_seconds", 0.0)
    yield store
    await store.close()


def _script_calls(url: str, timeout_seconds: float, idle: IdleConnections | None = None, most: int = 4) -> ScriptCalls:
    pool = ConnectionPool.from_url(url, socket_timeout=None, socket_connect_timeout=CALL_SECONDS, protocol=2)
    return ScriptCalls(pool, most, timeout_seconds, idle)


async def _claim(calls: ScriptCalls, person: int = 1) -> Any:
    return await calls.call(CLAIM, NAMES, ("r0", str(FIRST_EPOCH), "0", identity(person)))


ASKED: dict[str, Callable[[RedisStore], Awaitable[Any]]] = {
    "claim": lambda store: store.claims.claim("r0", [identity(2)]),
    "pause": lambda store: store.rounds.round_edit("r0", {"paused": True}, "for a test"),
    "create": lambda store: store.rounds.round_create(definition("another"), "for a test"),
    "round": lambda store: store.rounds.round("r0"),
    "rounds": lambda store: store.rounds.rounds_page(NOT_OVER, None, 1),
    "held": lambda store: store.claims.find_claims("r0", [identity(1)]),
    "readiness": lambda store: store.readiness.ping(),
    "counts": lambda store: store.counts.load(),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED.keys())
async def test_silent_connections_cost_a_probe_and_no_call(
    busy: RedisStore, proxy: Proxy, ask: Callable[[RedisStore], Awaitable[Any]]
) -> None:
    """However many are idle: the call is not sent on any of them, goes over a new one, and has a known outcome."""
    proxy.silence()
    before = proxy.accepted
    await ask(busy)
    assert proxy.accepted - before <= 2


async def test_one_silent_connection_ends_all_idle_ones(busy: RedisStore, proxy: Proxy) -> None:
    """They are closed: none is left that would cost the next call a probe."""
    proxy.silence()
    await busy.claims.claim("r0", [identity(2)])
    await busy.rounds.round_edit("r0", {"title": "Another"}, "for a test")
    await busy.rounds.round("r0")
    async with asyncio.timeout(CALL_SECONDS):
        # One each for claims, edits and readings.
        while proxy.connected > 3:  # noqa: ASYNC110 - the proxy is in a thread of its own
            await asyncio.sleep(0.005)


async def test_calls_under_way_fail_once_and_the_next_goes_through(proxy: Proxy) -> None:
    """Connections that are trusted are silent, too: a call that timed out is the last to try one of them."""
    calls = _script_calls(f"unix://{proxy.listen}", 1.0, IdleConnections(trusted_seconds=3600.0))
    await asyncio.gather(*(_claim(calls, person) for person in range(4)))
    proxy.silence()
    with pytest.raises(StoreUnavailable) as failed:
        await _claim(calls)
    assert not isinstance(failed.value, StoreRejected)
    before = proxy.accepted
    await _claim(calls)
    assert proxy.accepted == before + 1
    await calls.close()


async def test_calls_that_follow_each_other_are_not_probed(valkey: Server) -> None:
    """A batch after the other costs one round trip each."""
    now = 1000.0
    calls = _script_calls(valkey.url, CALL_SECONDS, IdleConnections(clock=lambda: now))
    with closing(valkey.client()) as client:
        echo = replace(ECHO, sha=str(client.script_load(ECHO.source)))
        client.config_resetstat()
    for _ in range(20):
        now += connections.TRUSTED_SECONDS / 2
        await calls.call(echo, (), ())
    assert _times_asked(valkey, "time") == 0
    now += connections.TRUSTED_SECONDS
    await calls.call(echo, (), ())
    assert _times_asked(valkey, "time") == 1
    await calls.close()


async def test_idle_connections_expire(proxy: Proxy) -> None:
    """Those that one call at a time does not need are closed one by one, and after a long pause all are new."""
    now = 1000.0
    calls = _script_calls(f"unix://{proxy.listen}", CALL_SECONDS, IdleConnections(clock=lambda: now))
    await asyncio.gather(*(_claim(calls, person) for person in range(4)))
    now += connections.EXPIRE_SECONDS * 0.9
    await _claim(calls)
    now += connections.EXPIRE_SECONDS * 0.9
    left = []
    for _ in range(4):
        await _claim(calls)
        left.append(len(calls._idle._idle))
    assert left == [3, 2, 1, 1]
    before, now = proxy.accepted, now + connections.EXPIRE_SECONDS
    await _claim(calls)
    assert proxy.accepted == before + 1
    await calls.close()


async def test_an_edit_that_was_sent_is_not_repeated(proxy: Proxy, valkey: Server) -> None:
    """Its outcome is unknown, and a relative edit would count twice."""
    store = RedisStore(Pools.connect(f"unix://{proxy.listen}", timeout_seconds=0.5))
    await store.rounds.round_create(definition("r0"), "for a test")
    await store.rounds.round_edit("r0", {"paused": False}, "for a test")
    before = _times_asked(valkey, "evalsha")

    async def lose_outcomes(wires: Wires, reply: bytes) -> None:
        if b"done" not in reply:
            wires[0].write(reply)

    proxy.share, proxy.fault = 1.0, lose_outcomes
    with pytest.raises(StoreUnavailable) as failed:
        await store.rounds.round_edit("r0", {"paused": True}, "for a test")
    proxy.fault = None
    assert not isinstance(failed.value, StoreRejected)
    assert _times_asked(valkey, "evalsha") == before + 1
    await store.close()


async def test_a_connection_that_replies_something_else_is_left(valkey: Server) -> None:
    """A probe is answered with the time, or with an error of the server; anything else belongs to another call."""
    connection = await _script_calls(valkey.url, CALL_SECONDS)._connected()
    await connection.send_command("TIME")
    await connection.read_response()
    assert await connections.carries(connection, idle_seconds=1.0, trusted_seconds=0.0)
    await connection.send_command("ECHO", "stray")
    assert not await connections.carries(connection, idle_seconds=1.0, trusted_seconds=0.0)
    assert not connection.is_connected


async def test_a_reply_without_a_call_ends_the_connection(valkey: Server) -> None:
    """Also one that came while the connection was trusted."""
    connection = await _script_calls(valkey.url, CALL_SECONDS)._connected()
    await connection.send_command("TIME")
    async with asyncio.timeout(CALL_SECONDS):
        while not await connection.can_read():  # noqa: ASYNC110 - the library has nothing to wait on
            await asyncio.sleep(0)
    assert not await connections.carries(connection, idle_seconds=0.0, trusted_seconds=3600.0)


async def test_the_kernel_watches_connections_over_tcp(request: pytest.FixtureRequest) -> None:
    """It gives up what is not acknowledged for a second, and keeps idle connections alive."""
    server = Server.started("valkey", free_port())
    request.addfinalizer(server.end)
    store = patient_store(f"redis://127.0.0.1:{server.port}")
    await store.readiness.ping()
    await store.rounds.rounds_page(NOT_OVER, None, 1)
    (editing, _), *_ = store.pools.edit_calls._idle._idle
    (reading, *_) = store.pools.reads.connection_pool._get_free_connections()
    for connection in (editing, reading):
        assert connection._writer is not None
        wire = connection._writer.get_extra_info("socket")
        assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
    await store.close()


async def test_a_connection_that_the_kernel_gives_up_is_a_lost_one(valkey: Server) -> None:
    """The library returns no reply then; the outcome is unknown, and the next call has a new connection."""
    calls = _script_calls(valkey.url, CALL_SECONDS, IdleConnections(trusted_seconds=3600.0))
    await _claim(calls)
    (connection, _), *_ = calls._idle._idle
    send = connection.send_packed_command

    async def send_into_silence(*args: Any, **options: Any) -> None:
        await send(*args, **options)
        assert connection._reader is not None
        connection._reader.set_exception(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "send_packed_command", send_into_silence)
        with pytest.raises(StoreUnavailable, match="timed out") as failed:
            await _claim(calls)
    assert not isinstance(failed.value, StoreRejected)
    assert not connection.is_connected
    await _claim(calls)
    await calls.close()


def _times_asked(server: Server, command: str) -> int:
    with closing(server.client()) as client:
        stats: Any = client.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])
