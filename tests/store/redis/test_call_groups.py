"""Calls that leave together: each gets its own reply, or learns for certain what is known of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import ConnectionPool
from redis.exceptions import NoScriptError

from claimd.domain.outcomes import Outcome
from claimd.store.errors import StoreRejected, StoreUnavailable
from claimd.store.redis import keys, script_calls
from claimd.store.redis.call_groups import CallGroups
from claimd.store.redis.script_calls import ScriptCall, ScriptCalls
from claimd.store.redis.scripts import Script
from claimd.store.redis.store import RedisStore
from tests.patience import PATIENCE_SECONDS
from tests.rounds import definition, identities, identity
from tests.servers import Server


class Counted(ScriptCalls):
    """How many calls were in each write."""

    def __init__(self, server: Server, connections: int = 16) -> None:
        pool = ConnectionPool.from_url(server.url, socket_timeout=None, protocol=2)
        super().__init__(pool, connections, PATIENCE_SECONDS)
        self.writes: list[int] = []

    async def call_with_followups(self, *call: Any) -> tuple[list[Any], list[Any]]:
        """One."""
        self.writes.append(1)
        return await super().call_with_followups(*call)

    async def call_together(
        self, script: Script, calls: Sequence[ScriptCall], *rest: Any
    ) -> tuple[list[Any], list[Any]]:
        """Several."""
        self.writes.append(len(calls))
        return await super().call_together(script, calls, *rest)


@pytest.fixture
async def calls(server: Server) -> AsyncIterator[Counted]:
    """Over real connections."""
    made = Counted(server)
    yield made
    await made.close()


def script(server: Server, body: str) -> Script:
    """A script that the server knows."""
    source = f"#!lua\nlocal call, word = ARGV[1], ARGV[2]\n{body}"
    with server.client() as client:
        return Script("tried", source, str(client.script_load(source)), (), ("call", "word"))


def groups(
    calls: ScriptCalls, tried: Script, timeout_seconds: float = PATIENCE_SECONDS, at_once: int = 16
) -> CallGroups:
    """Groups of calls of that script."""
    return CallGroups(calls, tried, at_once, timeout_seconds)


async def test_calls_of_many_rounds_share_writes(server: Server, calls: Counted) -> None:
    """Two hundred at once leave in a few writes, and each has its own reply, and those to what is sent after them."""
    together = groups(calls, script(server, "return { call, word }"))
    for _ in range(3):
        calls.writes.clear()
        told = await asyncio.gather(*(together.call_with_followups((), (f"{n}",), (("TIME",),)) for n in range(200)))
        assert [reply for reply, _ in told] == [[b"%d" % n] for n in range(200)]
        assert all(len(others) == 1 and len(others[0]) == 2 for _, others in told)
        assert sum(calls.writes) == 200
        assert len(calls.writes) <= 5


async def test_a_call_that_is_alone_leaves_at_once(server: Server, calls: Counted) -> None:
    """It is written before the loop turns, also when others left together not long ago."""
    together = groups(calls, script(server, "return { call, word }"))
    await asyncio.gather(*(together.call_with_followups((), ("x",), ()) for _ in range(9)))
    await together.call_with_followups((), ("first",), ())
    calls.writes.clear()
    alone = asyncio.create_task(together.call_with_followups((), ("alone",), ()))
    await asyncio.sleep(0)
    assert calls.writes == [1]
    assert await alone == ([b"alone"], [])


async def test_large_calls_have_no_company(server: Server, calls: Counted) -> None:
    """A write has at most 16 KiB: more would keep the first from its reply while the server works on the last."""
    together = groups(calls, script(server, "return { call, string.sub(word, 1, 1) }"))
    await asyncio.gather(*(together.call_with_followups((), (f"{n}" * 8192,), ()) for n in range(9)))
    assert max(calls.writes) <= 2


async def test_an_error_of_one_call_is_its_own(server: Server, calls: Counted) -> None:
    """The others are answered, and the connection goes on."""
    together = groups(calls, script(server, "if word == 'bad' then error('no') end\nreturn { call, word }"))
    words = ["a", "b", "bad", "c", "bad", "d"]
    for _ in range(2):
        told = await asyncio.gather(
            *(together.call_with_followups((), (word,), ()) for word in words), return_exceptions=True
        )
        for word, each in zip(words, told, strict=True):
            if word == "bad":
                assert isinstance(each, StoreUnavailable)
                assert not isinstance(each, StoreRejected)
            else:
                assert each == ([word.encode()], [])


async def test_a_script_that_the_server_forgot_in_between_is_loaded(store: RedisStore, server: Server) -> None:
    """Every claim is granted once, none by a second call."""
    for number in range(40):
        await store.rounds.round_create(definition(f"r{number}"), "")
    for person in range(3):
        with server.client() as client:
            client.script_flush()
        decided = await asyncio.gather(*(store.claims.claim(f"r{number}", [identity(person)]) for number in range(40)))
        assert {decision.outcome for (decision,) in decided} == {Outcome.GRANTED}


async def test_only_the_calls_that_found_no_script_are_sent_again(
    server: Server, calls: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may load it, or flush it, between two calls of one write: what was done is not done again."""
    counting = replace(script(server, "redis.call('INCR', KEYS[1])\nreturn { call, word }"), keys=("counter",))
    together = groups(calls, counting)
    exchange, lost = script_calls._exchange, [2, 5]

    async def flushed_in_between(connection: Any, commands: Sequence[Any]) -> list[Any]:
        if len(commands) < 9:
            return await exchange(connection, commands)
        kept = [command for at, command in enumerate(commands) if at not in lost]
        replies = await exchange(connection, kept)
        for at in lost:
            replies.insert(at, NoScriptError("No matching script."))
        return replies

    monkeypatch.setattr(script_calls, "_exchange", flushed_in_between)
    told = await asyncio.gather(
        *(together.call_with_followups(("counter",), (f"{n}",), (("TIME",),)) for n in range(10))
    )
    assert [reply for reply, _ in told] == [[b"%d" % n] for n in range(10)]
    assert {len(others) for _, others in told} == {1}
    with server.client() as client:
        assert client.get("counter") == b"10"


async def test_a_reply_that_answers_another_call_is_not_believed(server: Server, calls: Counted) -> None:
    """What that call did is unknown; the connection is not used again."""
    together = groups(calls, script(server, "return { word == 'stray' and call .. '0' or call, word }"))
    words = ["a", "b", "stray", "c"]
    told = await asyncio.gather(
        *(together.call_with_followups((), (word,), ()) for word in words), return_exceptions=True
    )
    assert [isinstance(each, StoreUnavailable) for each in told] == [False, False, True, False]
    assert not isinstance(told[2], StoreRejected)
    results = await asyncio.gather(*(together.call_with_followups((), (f"{n}",), ()) for n in range(9)))
    assert [reply for reply, _ in results] == [[b"%d" % n] for n in range(9)]


async def test_what_was_sent_is_unknown_and_what_was_not_is_refused(server: Server, calls: Counted) -> None:
    """Of a server that stands still, within the time that a call has, however many wait."""
    one = groups(calls, script(server, "return { call, word }"), 1.0, at_once=1)
    await one.call_with_followups((), ("so that there is a connection",), ())
    calls.writes.clear()
    # Of the first call, which belongs to no group.
    calls.timeout_seconds = 1.0
    with server.client() as client:
        client.client_pause(60_000, all=False)
        try:
            told = await asyncio.gather(
                *(one.call_with_followups((), (f"{n}" * 9000,), ()) for n in range(6)), return_exceptions=True
            )
        finally:
            client.client_unpause()
    sent = [type(each) for each in told].count(StoreUnavailable)
    assert {type(each) for each in told} == {StoreUnavailable, StoreRejected}
    assert sent <= len(calls.writes)
    calls.timeout_seconds = PATIENCE_SECONDS
    assert (await one.call_with_followups((), ("well again",), ()))[0] == [b"well again"]


async def test_a_call_that_was_given_up_is_not_sent(server: Server, calls: Counted) -> None:
    """And nothing that waits with it is held up."""
    counting = script(server, "redis.call('INCR', KEYS[1])\nreturn { call, word }")
    counting = replace(counting, keys=("counter",))
    together = groups(calls, counting)
    asks = [asyncio.create_task(together.call_with_followups(("counter",), (f"{n}",), ())) for n in range(9)]
    await asyncio.sleep(0)
    asks[5].cancel()
    told = await asyncio.gather(*asks, return_exceptions=True)
    assert isinstance(told[5], asyncio.CancelledError)
    with server.client() as client:
        assert client.get("counter") == b"8"


async def test_a_server_that_dies_leaves_all_in_doubt(store: RedisStore, server: Server) -> None:
    """The outcomes of all calls of the group are unknown; a retry finds them."""
    for number in range(40):
        await store.rounds.round_create(definition(f"r{number}"), "")
    await asyncio.gather(*(store.claims.claim(f"r{number}", [identity(0)]) for number in range(40)))
    with server.client() as client:
        client.client_pause(60_000, all=False)
        asks = [asyncio.create_task(store.claims.claim(f"r{number}", identities(1))) for number in range(40)]
        for _ in range(10):
            await asyncio.sleep(0)
        server.kill()
    told = await asyncio.gather(*asks, return_exceptions=True)
    assert {type(each) for each in told} <= {StoreUnavailable, StoreRejected}
    await asyncio.to_thread(server.start)
    decided = await asyncio.gather(*(store.claims.claim(f"r{number}", identities(1)) for number in range(40)))
    assert {decision.serial for (decision,) in decided} == {2}
    with server.client() as client:
        assert client.hlen(keys.of_round("r7").claims) == 2
