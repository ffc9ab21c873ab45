"""Both sides over one server."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.http import serving
from tests.http.serving import Served
from tests.servers import Server


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that serves in production."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def gateway(valkey: Server) -> AsyncIterator[Served]:
    """A gateway with its lane."""
    async with serving.gateway(valkey.url) as served:
        yield served


@pytest.fixture
async def console(valkey: Server) -> AsyncIterator[Served]:
    """A console."""
    async with serving.console(valkey.url) as served:
        yield served
