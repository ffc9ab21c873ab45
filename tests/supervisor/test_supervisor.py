"""The supervisor with children that misbehave."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from claimd.errors import StartError
from claimd.supervisor.supervisor import Spec, Supervisor
from tests.up.running import is_running

_READY = "import os, signal, sys, time; fd = int(sys.argv[-1]); ready = lambda: (os.write(fd, b'1'), os.close(fd)); "
_STUBBORN = _READY + "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); time.sleep(60)"
_WELL_BEHAVED = _READY + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); ready(); time.sleep(60)"


class Watched:
    """A supervisor, what it said, and whom it started."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.started: list[int] = []
        self.supervisor = Supervisor(self.said.append, lambda _name, pid: self.started.append(pid))


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    """Stopped at the end, whatever a test does."""
    watched = Watched()
    yield watched
    watched.supervisor.hurry()
    await watched.supervisor.stop("")
    assert not [pid for pid in watched.started if is_running(pid)]


def child(script: str, name: str = "child", stop_seconds: float = 10.0) -> Spec:
    return Spec(name, (sys.executable, "-S", "-c", script), dict(os.environ), stop_seconds=stop_seconds)


async def until(condition: object, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_start_returns_when_the_child_says_so(watched: Watched) -> None:
    """And a child that ends on SIGTERM is not killed."""
    await watched.supervisor.start([child(_WELL_BEHAVED)])
    assert is_running(watched.started[0])
    await watched.supervisor.stop("child")
    assert watched.said[-1].startswith("  child stopped after")


async def test_a_child_that_ends_before_it_is_ready_ends_the_start(watched: Watched) -> None:
    """It is not tried again: whoever starts claimd is there to read why."""
    with pytest.raises(StartError, match="child ended with status 3 before it was ready"):
        await watched.supervisor.start([child("raise SystemExit(3)"), child(_WELL_BEHAVED, "other")])


async def test_a_command_that_is_not_there_ends_the_start(watched: Watched) -> None:
    """With a sentence, not with a traceback."""
    with pytest.raises(StartError, match="child ended with status 1 before it was ready"):
        await watched.supervisor.start([Spec("child", ("/nonexistent",), {})])


async def test_a_stubborn_child_is_killed_when_its_time_is_up(watched: Watched) -> None:
    """A stop is bounded."""
    await watched.supervisor.start([child(_STUBBORN, stop_seconds=0.3)])
    await watched.supervisor.stop("child")
    assert watched.said[-1].startswith("  child killed after")


async def test_impatience_does_not_wait(watched: Watched) -> None:
    """A second Ctrl-C kills whoever still takes his time."""
    await watched.supervisor.start([child(_STUBBORN, stop_seconds=60.0)])
    stopping = asyncio.create_task(watched.supervisor.stop("child"))
    await asyncio.sleep(0)
    watched.supervisor.hurry()
    await asyncio.wait_for(stopping, 5)


async def test_a_child_that_dies_again_and_again_is_waited_for_longer(watched: Watched, tmp_path: Path) -> None:
    """The pause grows with each death that follows shortly."""
    flag = tmp_path / "started"
    script = _READY + f"path = {str(flag)!r}; first = not os.path.exists(path); open(path, 'w'); "
    script += "ready() if first else None; sys.exit(7)"
    await watched.supervisor.start([child(script)])
    await until(lambda: len(watched.started) >= 3)
    pauses = [line.rpartition(" in ")[2] for line in watched.said if "starting it again" in line]
    assert pauses[:2] == ["0.1 s", "0.2 s"]


async def test_a_child_that_is_waited_for_can_be_stopped(watched: Watched) -> None:
    """The pause before a new start is not slept through."""
    script = _READY + "ready(); sys.exit(1)"
    await watched.supervisor.start([child(script)])
    await until(lambda: len(watched.started) >= 4)
    began = time.monotonic()
    await watched.supervisor.stop("child")
    assert time.monotonic() - began < 0.5
