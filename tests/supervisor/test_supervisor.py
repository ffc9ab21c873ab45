"""The supervisor with children that end early, ignore SIGTERM, or end again and again."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from claimd.errors import StartError
from claimd.supervisor.child_spec import ChildSpec
from claimd.supervisor.supervisor import Supervisor
from tests.up.running import is_running

_READY = "import os, signal, sys, time; fd = int(sys.argv[-1]); ready = lambda: (os.write(fd, b'1'), os.close(fd)); "
_STUBBORN = _READY + "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); time.sleep(60)"
_WELL_BEHAVED = _READY + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); ready(); time.sleep(60)"


class Observed:
    """A supervisor, the lines that it has printed, and the pids that it has started."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.started: list[int] = []
        self.supervisor = Supervisor(self.lines.append, lambda _name, pid: self.started.append(pid))


@pytest.fixture
async def observed() -> AsyncIterator[Observed]:
    """A supervisor that is stopped at the end, after which none of its processes may run."""
    observed = Observed()
    yield observed
    observed.supervisor.kill_at_once()
    await observed.supervisor.stop("")
    assert not [pid for pid in observed.started if is_running(pid)]


def child(script: str, name: str = "child", stop_seconds: float = 10.0) -> ChildSpec:
    """A child that runs a Python script with the heartbeat descriptor as its last argument."""
    return ChildSpec(name, (sys.executable, "-S", "-c", script), dict(os.environ), stop_seconds=stop_seconds)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_start_returns_when_the_child_reports_ready(observed: Observed) -> None:
    """A child that ends on SIGTERM is not killed."""
    await observed.supervisor.start([child(_WELL_BEHAVED)])
    assert is_running(observed.started[0])
    await observed.supervisor.stop("child")
    assert observed.lines[-1].startswith("  child stopped after")


async def test_a_child_that_ends_before_it_is_ready_ends_the_start(observed: Observed) -> None:
    """It is not restarted: an operator is starting claimd and reads the reason."""
    with pytest.raises(StartError, match="child ended with status 3 before it was ready"):
        await observed.supervisor.start([child("raise SystemExit(3)"), child(_WELL_BEHAVED, "other")])


async def test_a_command_that_does_not_exist_ends_the_start(observed: Observed) -> None:
    """The start fails with a message, not with a traceback."""
    with pytest.raises(StartError, match="child ended with status 1 before it was ready"):
        await observed.supervisor.start([ChildSpec("child", ("/nonexistent",), {})])


async def test_a_stubborn_child_is_killed_when_its_time_is_up(observed: Observed) -> None:
    """A child that ignores SIGTERM is killed after its `stop_seconds`."""
    await observed.supervisor.start([child(_STUBBORN, stop_seconds=0.3)])
    await observed.supervisor.stop("child")
    assert observed.lines[-1].startswith("  child killed after")


async def test_an_impatient_stop_does_not_wait(observed: Observed) -> None:
    """A second Ctrl-C kills the children that have not ended yet."""
    await observed.supervisor.start([child(_STUBBORN, stop_seconds=60.0)])
    stopping = asyncio.create_task(observed.supervisor.stop("child"))
    await asyncio.sleep(0)
    observed.supervisor.kill_at_once()
    await asyncio.wait_for(stopping, 5)


async def test_the_backoff_grows_while_a_child_keeps_ending(observed: Observed, tmp_path: Path) -> None:
    """The pause before a restart doubles with each end that follows soon."""
    flag = tmp_path / "started"
    script = _READY + f"path = {str(flag)!r}; first = not os.path.exists(path); open(path, 'w'); "
    script += "ready() if first else None; sys.exit(7)"
    await observed.supervisor.start([child(script)])
    await until(lambda: len(observed.started) >= 3)
    pauses = [line.rpartition(" in ")[2] for line in observed.lines if "starting it again" in line]
    assert pauses[:2] == ["0.1 s", "0.2 s"]


async def test_a_child_can_be_stopped_during_its_backoff(observed: Observed) -> None:
    """The stop does not wait until the pause before the restart is over."""
    script = _READY + "ready(); sys.exit(1)"
    await observed.supervisor.start([child(script)])
    await until(lambda: len(observed.started) >= 4)
    began = time.monotonic()
    await observed.supervisor.stop("child")
    assert time.monotonic() - began < 0.5
