"""Calls over bare connections: no reply is ever taken for another call's, and a lost server is noticed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import ConnectionPool

from claimd.store.errors import StoreRejected, StoreUnavailable
from claimd.store.redis import keys
from claimd.store.redis.script_calls import ScriptCalls
from claimd.store.redis.scripts import Script, load_script
from tests.patience import PATIENCE_SECONDS
from tests.rounds import identity
from tests.servers import Server

NAMES = keys.of_round("r1").of_claims
ECHO = Script("echo", "#!lua\nreturn { ARGV[1], ARGV[2] }", "", (), ("call", "word"))


@pytest.fixture
def echo(server: Server) -> Script:
    """A script that answers what it was given."""
    with server.client() as client:
        return Script(ECHO.name, ECHO.source, str(client.script_load(ECHO.source)), ECHO.keys, ECHO.args)


@pytest.fixture
async def calls(server: Server) -> AsyncIterator[ScriptCalls]:
    """With one connection only, so that whatever is left on it meets the next call."""
    made = ScriptCalls(ConnectionPool.from_url(server.url, socket_timeout=None, protocol=2), 1, PATIENCE_SECONDS)
    yield made
    await made.close()


async def test_the_reply_to_a_call_that_was_given_up_is_never_anothers(
    server: Server, calls: ScriptCalls, echo: Script
) -> None:
    """A caller that is cancelled leaves a reply in flight; the next call still gets its own."""
    assert await calls.call(echo, (), ("warm",)) == [b"warm"]
    with server.client() as client:
        client.client_pause(60_000, all=False)
        try:
            given_up = asyncio.create_task(calls.call(echo, (), ("stale",)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
        finally:
            client.client_unpause()
    assert [await calls.call(echo, (), (f"fresh-{n}",)) for n in range(3)] == [[b"fresh-0"], [b"fresh-1"], [b"fresh-2"]]


async def test_a_call_is_given_up_after_its_time(server: Server, echo: Script) -> None:
    """One that was sent is unknown from then on; one that still waited for a connection did certainly nothing."""
    calls = ScriptCalls(ConnectionPool.from_url(server.url, socket_timeout=None, protocol=2), 1, 1.0)
    await calls.call(echo, (), ("so that there is a connection",))
    with server.client() as client:
        client.client_pause(60_000, all=False)
        try:
            results = await asyncio.gather(*(calls.call(echo, (), (f"{n}",)) for n in range(2)), return_exceptions=True)
        finally:
            client.client_unpause()
    assert [type(result) for result in results] == [StoreUnavailable, StoreRejected]
    await calls.close()


async def test_a_server_that_was_restarted_in_between_is_not_noticed_by_callers(
    server: Server, calls: ScriptCalls, echo: Script
) -> None:
    """A connection that ended while it was idle is replaced before the next call, and the script loaded anew."""
    assert await calls.call(echo, (), ("before",)) == [b"before"]
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    assert await calls.call(echo, (), ("after",)) == [b"after"]


async def test_a_script_that_fails_leaves_the_connection_usable(
    server: Server, calls: ScriptCalls, echo: Script
) -> None:
    """An error is a reply: the next call goes over the same connection. What the script did before is unknown."""
    broken = Script("broken", "#!lua\nlocal call = ARGV[1]\nerror('no')", "", (), ("call",))
    with server.client() as client:
        broken = replace(broken, sha=str(client.script_load(broken.source)))
    with pytest.raises(StoreUnavailable, match="no") as caught:
        await calls.call(broken, (), ())
    assert not isinstance(caught.value, StoreRejected)
    assert await calls.call(echo, (), ("still here",)) == [b"still here"]


async def test_what_the_head_does_not_declare_is_not_sent(calls: ScriptCalls) -> None:
    """The loader reads KEYS and ARGV from the head; a call with others is a mistake of ours."""
    with pytest.raises(TypeError):
        await calls.call(load_script("claim"), NAMES[:2], ("r1", "0", "0", identity(1)))


@pytest.mark.parametrize(
    ("break_it", "mend_it"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        (("CONFIG", "SET", "min-replicas-to-write", "1"), ("CONFIG", "SET", "min-replicas-to-write", "0")),
        (("ACL", "SETUSER", "default", "-evalsha"), ("ACL", "SETUSER", "default", "+evalsha")),
    ],
    ids=["full", "a replica", "short of replicas", "not permitted"],
)
async def test_a_server_that_rejects_a_call_has_done_nothing(
    server: Server, calls: ScriptCalls, break_it: tuple[str, ...], mend_it: tuple[str, ...]
) -> None:
    """The error comes before the script begins: StoreRejected, unlike a call with unknown outcome."""
    claim, args = load_script("claim"), ("r1", "0", "0", identity(1))
    await calls.call(claim, NAMES, args)
    with server.client() as client:
        try:
            client.execute_command(*break_it)
            with pytest.raises(StoreRejected):
                await calls.call(claim, NAMES, args)
        finally:
            client.execute_command(*mend_it)
    await calls.call(claim, NAMES, args)


async def test_a_server_that_cannot_be_reached_has_done_nothing() -> None:
    """A connection that was not made has carried nothing."""
    pool = ConnectionPool.from_url("unix:///nonexistent/socket", socket_timeout=None, protocol=2)
    with pytest.raises(StoreRejected):
        await ScriptCalls(pool, 1, PATIENCE_SECONDS).call(load_script("claim"), NAMES, ("r1", "0", "0", identity(1)))


async def test_a_reply_that_answers_another_call_is_not_believed(
    server: Server, calls: ScriptCalls, echo: Script
) -> None:
    """Whatever mixed them up: the connection is closed, and what the call did is unknown."""
    another = Script("another", "#!lua\nlocal call = ARGV[1]\nreturn { call .. '0', 'stray' }", "", (), ("call",))
    with server.client() as client:
        another = replace(another, sha=str(client.script_load(another.source)))
        with pytest.raises(StoreUnavailable, match="is that of another call") as caught:
            await calls.call(another, (), ())
        assert not isinstance(caught.value, StoreRejected)
    assert await calls.call(echo, (), ("mine",)) == [b"mine"]


async def test_only_a_forgotten_script_is_asked_again(server: Server, calls: ScriptCalls) -> None:
    """Any other error may come after a write: a script that fails is called once."""
    source = "#!lua\nlocal call = ARGV[1]\nredis.call('INCR', KEYS[1])\nerror('no')"
    broken = Script("broken", source, "", ("counter",), ("call",))
    with server.client() as client:
        broken = replace(broken, sha=str(client.script_load(source)))
        with pytest.raises(StoreUnavailable):
            await calls.call(broken, ("counter",), ())
        assert client.get("counter") == b"1"


async def test_a_server_that_was_demoted_is_left(server: Server, calls: ScriptCalls) -> None:
    """It keeps its clients' connections, while the address may lead to another by now: so the next call goes there."""
    claim, args = load_script("claim"), ("r1", "0", "0", identity(1))
    await calls.call(claim, NAMES, args)
    with server.client() as client:
        before = client.info("stats")["total_connections_received"]
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            for _ in range(3):
                with pytest.raises(StoreRejected):
                    await calls.call(claim, NAMES, args)
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
        assert client.info("stats")["total_connections_received"] - before >= 2
