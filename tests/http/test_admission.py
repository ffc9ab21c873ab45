"""More connections than a process has files for: those beyond the bound are answered and closed, the others served."""

import asyncio
import logging
import resource
import sys
from contextlib import AsyncExitStack
from typing import Any

import pytest

from claimd.gateway.lane.connection import Lane
from claimd.http import admission
from claimd.http.aiohttp_door import AiohttpDoor
from claimd.http.most_connections import RESERVED_FILES, most_connections
from claimd.supervisor.listeners import BACKLOG
from claimd.supervisor.open_files import few_files_warning
from tests.http import serving
from tests.http.raw import Raw, connected, until
from tests.http.serving import Served, open_round, pass_for
from tests.servers import Server

MOST = 3
READY = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
CLAIM = f"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\nAuthorization: Pass {pass_for('ada')}\r\n\r\n".encode()


async def _filled(served: Served, stack: AsyncExitStack) -> list[Raw]:
    """As many connections as there may be."""
    inside = [await stack.enter_async_context(connected(served.port)) for _ in range(MOST)]
    await until(lambda: len(served.front.connections) == MOST)
    return inside


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
@pytest.mark.parametrize("request_", [CLAIM, READY], ids=["a claim", "readiness"])
async def test_a_connection_too_many_is_answered_and_closed(valkey: Server, door: Any, request_: bytes) -> None:
    """503 with a Retry-After, at once; those inside are served as before, and when one leaves another may come."""
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(serving.gateway(valkey.url, door=door, most_connections=MOST))
        await open_round(gateway.store)
        first, *_ = await _filled(gateway, stack)
        async with connected(gateway.port) as beyond:
            await beyond.send(request_)
            answer = await beyond.answer()
            assert (answer.status, answer.document["code"]) == (503, "overloaded")
            assert answer.headers["connection"] == "close"
            assert int(answer.headers["retry-after"]) >= 1
            assert await beyond.has_ended()
        assert gateway.counts.refusals["overloaded"] == 1
        await first.send(CLAIM)
        assert (await first.answer()).status == 201
        # What was handed on to aiohttp counts as before.
        await first.send(HEALTH)
        assert (await first.answer()).status == 200
        async with connected(gateway.port) as beyond:
            await beyond.send(request_)
            beyond.finish()
            assert (await beyond.answer()).status == 503
            assert await beyond.has_ended()
        first.finish()
        assert await first.has_ended()
        async with connected(gateway.port) as welcome:
            await welcome.send(HEALTH)
            assert (await welcome.answer()).status == 200
            await welcome.send(request_)
            assert (await welcome.answer()).status == 200


async def test_a_console_has_a_bound_too(valkey: Server) -> None:
    """The same one."""
    async with AsyncExitStack() as stack:
        console = await stack.enter_async_context(serving.console(valkey.url, most_connections=MOST))
        await _filled(console, stack)
        async with connected(console.port) as beyond:
            await beyond.send(READY)
            assert (await beyond.answer()).status == 503


async def test_a_full_process_lives(valkey: Server) -> None:
    """A restart because of a health check would not help."""
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(serving.gateway(valkey.url, most_connections=MOST))
        await _filled(gateway, stack)
        async with connected(gateway.port) as beyond:
            await beyond.send(HEALTH)
            answer = await beyond.answer()
            assert (answer.status, answer.document) == (200, {"status": "ok"})
            assert await beyond.has_ended()


async def test_rejected_connections_are_few_and_short_lived(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that sends nothing is closed after a while, and more than a few at a time at once."""
    monkeypatch.setattr(admission, "_MOST_REJECTED_AT_ONCE", 2)
    monkeypatch.setattr(admission, "_REJECTION_SECONDS", 0.2)
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(serving.gateway(valkey.url, most_connections=MOST))
        await _filled(gateway, stack)
        beyond = [await stack.enter_async_context(connected(gateway.port)) for _ in range(20)]
        assert all(await asyncio.gather(*(raw.has_ended() for raw in beyond)))


def _number(record: logging.LogRecord) -> int:
    """How many rejected connections a line of the log is about."""
    return int(record.getMessage().split()[0])


async def test_rejections_are_one_line_a_second(
    valkey: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With their number, and the bound."""
    monkeypatch.setattr(admission, "_REPORT_SECONDS", 0.2)
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(serving.gateway(valkey.url, most_connections=MOST))
        await _filled(gateway, stack)
        told = []
        for _ in range(50):
            async with connected(gateway.port) as beyond:
                await beyond.send(READY)
                told.append((await beyond.answer()).status)
        assert told == [503] * 50
        await until(lambda: sum(_number(record) for record in caplog.records) == 50)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert len(caplog.records) < 50
    assert f": {MOST} are open" in caplog.text


def test_the_bound_leaves_files_for_the_process() -> None:
    """Of a limit that is high almost all, of a low one half."""
    assert most_connections(1024) == 1024 - RESERVED_FILES
    assert most_connections(300) == 300 - RESERVED_FILES
    assert most_connections(100) == 50
    assert most_connections(resource.RLIM_INFINITY) == sys.maxsize


def test_a_low_limit_is_warned_about() -> None:
    """With the bound it leads to, and what would be enough."""
    warning = few_files_warning(300)
    assert warning is not None
    assert f"{300 - RESERVED_FILES} connections" in warning
    assert f"{BACKLOG + RESERVED_FILES:,} or more" in warning
    assert few_files_warning(BACKLOG + RESERVED_FILES) is None
    assert few_files_warning(resource.RLIM_INFINITY) is None
