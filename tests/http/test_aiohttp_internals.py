"""What `claimd/http/aiohttp_door.py` relies on in aiohttp without being promised it: a test for each, by its name."""

import inspect
from collections import deque

from aiohttp import web
from aiohttp.http_writer import StreamWriter

from claimd.http.aiohttp_door import AiohttpConnection, AiohttpDoor
from tests.http.raw import connected
from tests.http.serving import Served


def _parameters(function: object) -> list[str]:
    assert callable(function)
    return list(inspect.signature(function).parameters)


async def _application(request: web.Request) -> web.Response:
    return web.Response(text=request.path)


async def _runner() -> web.AppRunner:
    app = web.Application()
    app.router.add_get("/", _application)
    runner = web.AppRunner(app)
    await runner.setup()
    return runner


async def test_messages_are_a_queue_of_the_connection() -> None:
    """`RequestHandler._messages`."""
    runner = await _runner()
    connection = AiohttpDoor(runner).connection()
    assert isinstance(connection, AiohttpConnection)
    assert isinstance(connection._messages, deque)
    await runner.cleanup()


def test_handle_error_takes_what_is_overridden() -> None:
    """`RequestHandler.handle_error`, with the status and the exception."""
    expected = ["self", "request", "status", "exc", "message"]
    assert _parameters(web.RequestHandler.handle_error) == _parameters(AiohttpConnection.handle_error) == expected


def test_finish_response_takes_what_is_overridden() -> None:
    """`RequestHandler.finish_response`, which returns the answer and whether the connection was reset."""
    expected = ["self", "request", "resp", "start_time"]
    assert _parameters(web.RequestHandler.finish_response) == _parameters(AiohttpConnection.finish_response) == expected


async def test_request_factory_is_called_with_head_body_and_connection() -> None:
    """`Server.request_factory`, by position, in this order."""
    runner = await _runner()
    assert runner.server is not None
    assert _parameters(runner.server.request_factory)[:3] == ["message", "payload", "protocol"]
    AiohttpDoor(runner)
    assert runner.server.request_factory.__name__ == "announced"
    await runner.cleanup()


async def test_eof_received_decides_whether_a_half_closed_connection_stays(console: Served) -> None:
    """`RequestHandler.eof_received`: True keeps it open for its answer."""
    async with connected(console.port) as raw:
        await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        raw.finish()
        answer = await raw.answer()
        assert answer.status == 200
        assert await raw.has_ended()


def test_output_size_counts_what_was_written() -> None:
    """`Request.writer.output_size`, 0 until an answer begins."""
    assert StreamWriter.output_size == 0
