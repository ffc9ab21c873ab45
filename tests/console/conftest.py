"""Both sides over one server, as for the tests of HTTP."""

from tests.http.conftest import console, gateway, pytest_asyncio_loop_factories

__all__ = ["console", "gateway", "pytest_asyncio_loop_factories"]
