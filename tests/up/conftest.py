"""A running `claimd up` that tests of this folder share, as each start takes seconds of processor time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.up.running import Up

SHARED_GATEWAYS = 2


class SharedUp:
    """Starts a `claimd up` for the first test that asks for one, and again where a test has left it unusable."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._starts = 0
        self._up: Up | None = None

    def get(self) -> Up:
        """A `claimd up` that answers; its `output` begins now."""
        if self._up is None or self._up.gateway("GET", "/readyz", "")[0] != 200:
            self.stop()
            self._starts += 1
            self._up = Up(self._folder / f"data-{self._starts}", "--workers", str(SHARED_GATEWAYS)).until_ready()
        self._up.forget_output()
        return self._up

    def stop(self) -> None:
        """Stop it if it runs."""
        if self._up is not None:
            with self._up:
                self._up.stop()
            self._up = None


@pytest.fixture(scope="package")
def _shared_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedUp]:
    shared = SharedUp(tmp_path_factory.mktemp("shared-up"))
    yield shared
    shared.stop()


@pytest.fixture
def running_up(_shared_up: SharedUp) -> Up:
    """A running `claimd up` with two gateways, for a test that leaves it running and uses rounds of its own."""
    return _shared_up.get()
