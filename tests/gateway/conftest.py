"""A gateway on a real socket over a real server, with the keys of an identity provider."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from tests.http import serving
from tests.http.serving import Served
from tests.identity.identity_provider import write_jwks
from tests.servers import Server


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that serves in production."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def jwks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The provider's key that is cheapest to check."""
    return write_jwks(tmp_path_factory.mktemp("jwks") / "jwks.json", "oct")


@pytest.fixture
async def gateway(valkey: Server, jwks: Path) -> AsyncIterator[Served]:
    """A gateway with its lane."""
    async with serving.gateway(valkey.url, jwks=jwks) as served:
        yield served
