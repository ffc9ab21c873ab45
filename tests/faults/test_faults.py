"""Every fault of the catalogue, a few times: `make faults` injects each far more often.

Faults that leave their environment whole share one, each in a round of its own: starting claimd is most of the time
that a short run takes. They also share a test process, so that each environment starts once.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from loadtest.faults import environment
from loadtest.faults.catalogue import FAULTS, Fault
from loadtest.faults.environment import Environment, EnvironmentFactory, SkippedError

SHARED = (
    environment.embedded,
    environment.two_workers,
    environment.external_server,
    environment.behind_a_proxy,
)

RECOVERY_PATIENCE_SECONDS = 60


class CurrentEnvironment:
    """The environment of the test that runs, kept for the next one if that needs the same."""

    def __init__(self) -> None:
        self._factory: EnvironmentFactory | None = None
        self._running: Environment | None = None
        self._stack = ExitStack()

    def use(self, factory: EnvironmentFactory) -> Environment:
        """Return the environment that runs if `factory` made it, else stop it and start one."""
        if self._running is None or factory is not self._factory:
            self.stop()
            # Not pytest's own folder, whose name is too long for a unix socket.
            home = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="claimd-faults-"))
            self._running = self._stack.enter_context(factory(Path(home)))
            self._factory = factory
        return self._running

    def stop(self) -> None:
        """Stop the environment, if one runs."""
        self._running = None
        self._stack.close()


@pytest.fixture(scope="module")
def current() -> Iterator[CurrentEnvironment]:
    """Stops the last environment after the last test."""
    kept = CurrentEnvironment()
    yield kept
    kept.stop()


def parameters() -> Iterator[object]:
    """Faults by environment: those of a shared one follow each other, in one test process."""
    for factory in dict.fromkeys(fault.environment for fault in FAULTS):
        for fault in FAULTS:
            if fault.environment is factory:
                group = factory.__name__ if factory in SHARED else fault.name
                yield pytest.param(fault, id=fault.name, marks=pytest.mark.xdist_group(f"faults-{group}"))


@pytest.mark.parametrize("fault", list(parameters()))
def test_no_promise_is_broken(fault: Fault, current: CurrentEnvironment) -> None:
    """No acknowledged claim is lost or changed, none is granted twice, no outcome stays unknown; claimd recovers."""
    try:
        running = current.use(fault.environment)
    except SkippedError as error:
        pytest.skip(str(error))
    kept = False
    try:
        verdict = fault.run_in(running, fault.short, lambda injections: None)
        log = running.claimd.log.read_text(errors="replace")
        # How soon it recovers is for `make faults`: here the machine may be busy with other tests.
        broken = {name: count for name, count in verdict.violations.items() if name != "back_too_late"}
        assert not broken, f"{verdict.answers}\n{log[-3000:]}"
        assert all(seconds < RECOVERY_PATIENCE_SECONDS for seconds in verdict.recoveries)
        assert verdict.tried >= fault.short
        assert verdict.granted > 0
        kept = fault.environment in SHARED
    finally:
        # A failed test may leave anything behind.
        if not kept:
            current.stop()
