"""Starts children, starts those again that die, and stops them in the order that is asked for.

It must never signal a process that it has not started, and never let one outlive it: each child is tethered to it by
the kernel (`tether.py`). Each runs in a session of its own, or a Ctrl-C in the terminal would reach the server at the
same moment as the gateways, which still have to answer what is in flight.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from claimd.processes import tether
from claimd.processes.errors import StartError

_FIRST_BACKOFF_SECONDS = 0.1
_MAX_BACKOFF_SECONDS = 5.0
# Once it has served for so long, what ended it was not its start: whoever waits for it is not made to wait longer.
_LIVED_WELL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Spec:
    """How to run one child. `command` starts with a path.

    A child tells that it is ready with a byte on the descriptor that `--ready-fd` names, which is added to its
    command; one that cannot has a `probe`, which returns when it is ready and never raises. `explain` adds to the
    sentence that says why it did not come up.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    pass_fds: tuple[int, ...] = ()
    probe: Callable[[], Awaitable[None]] | None = None
    explain: Callable[[], str] = lambda: ""
    stop_seconds: float = 15.0


@dataclass(slots=True)
class _Child:
    spec: Spec
    ready: asyncio.Future[None]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None

    def signal(self, number: signal.Signals) -> None:
        """Signal the process if it runs."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """`say` gets lines for a person; `on_started` the name and pid of each process, at every start."""

    def __init__(self, say: Callable[[str], None], on_started: Callable[[str, int], None]) -> None:
        self._say = say
        self._on_started = on_started
        self._children: dict[str, _Child] = {}
        self._hurry = asyncio.Event()

    async def start(self, specs: Iterable[Spec]) -> None:
        """Start children and wait until all of them are ready. Raises StartError as soon as one has ended instead."""
        started = [self._start(spec) for spec in specs]
        # A cancelled start leaves the children to `stop`, which knows how to end them.
        await asyncio.gather(*(asyncio.shield(child.ready) for child in started))

    async def stop(self, *prefixes: str) -> None:
        """SIGTERM those whose name starts so, then SIGKILL whoever has not ended in its time; all at the same time."""
        chosen = [name for name in self._children if name.startswith(prefixes)]
        await asyncio.gather(*(self._stop(self._children.pop(name)) for name in chosen))

    def hurry(self) -> None:
        """Whoever is being stopped, now or later, is killed at once."""
        self._hurry.set()

    def _start(self, spec: Spec) -> _Child:
        child = _Child(spec, asyncio.get_running_loop().create_future())
        self._children[spec.name] = child
        child.keeper = asyncio.create_task(self._keep(child), name=spec.name)
        return child

    async def _stop(self, child: _Child) -> None:
        if child.keeper is None:
            return
        began = time.monotonic()
        child.stopping.set()
        if not child.ready.done() or child.ready.exception() is not None:
            # Whoever waited for it has given up; asyncio would complain of a result that nobody took.
            child.ready.cancel()
        child.signal(signal.SIGTERM)
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({child.keeper, hurry}, timeout=child.spec.stop_seconds, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        killed = not child.keeper.done()
        if killed:
            child.signal(signal.SIGKILL)
        await child.keeper
        how = "killed" if killed else "stopped"
        self._say(f"  {child.spec.name} {how} after {time.monotonic() - began:.1f} s")

    async def _keep(self, child: _Child) -> None:
        backoff_seconds = _FIRST_BACKOFF_SECONDS
        while not child.stopping.is_set():
            is_ready = False
            ready_at = time.monotonic()
            try:
                is_ready = await self._run_until_ready(child)
                ready_at = time.monotonic()
                what = f"{child.spec.name} {_ending(await self._wait(child))}"
            except OSError as error:
                what = f"{child.spec.name} cannot be started ({error.strerror})"
            if child.stopping.is_set():
                break
            if not child.ready.done():
                child.ready.set_exception(StartError(f"{what} before it was ready{child.spec.explain()}"))
                return
            if is_ready and time.monotonic() - ready_at >= _LIVED_WELL_SECONDS:
                backoff_seconds = _FIRST_BACKOFF_SECONDS
            self._say(f"{what}: starting it again in {backoff_seconds:.1f} s{'' if is_ready else child.spec.explain()}")
            with suppress(TimeoutError):
                await asyncio.wait_for(child.stopping.wait(), backoff_seconds)
            backoff_seconds = min(2 * backoff_seconds, _MAX_BACKOFF_SECONDS)

    async def _run_until_ready(self, child: _Child) -> bool:
        """Launch; True when it is ready, False when it has ended instead."""
        ready_read, ready_write = os.pipe()
        try:
            try:
                child.process = await self._launch(child.spec, ready_write)
            finally:
                os.close(ready_write)
            self._on_started(child.spec.name, child.process.pid)
            if child.stopping.is_set():
                child.signal(signal.SIGTERM)
            became_ready = await self._until_ready(child, ready_read)
        finally:
            os.close(ready_read)
        if became_ready and child.ready.done():
            self._say(f"{child.spec.name} is back (pid {child.process.pid})")
        elif became_ready:
            child.ready.set_result(None)
        return became_ready

    @staticmethod
    async def _launch(spec: Spec, ready_fd: int) -> asyncio.subprocess.Process:
        command, pass_fds = spec.command, spec.pass_fds
        if spec.probe is None:
            command, pass_fds = (*command, "--ready-fd", str(ready_fd)), (*pass_fds, ready_fd)
        tie = (sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid()))
        return await asyncio.create_subprocess_exec(
            *tie,
            *command,
            env=dict(spec.environment),
            pass_fds=pass_fds,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            umask=0o077,
        )

    async def _until_ready(self, child: _Child, ready_fd: int) -> bool:
        told = asyncio.ensure_future(_told(ready_fd) if child.spec.probe is None else _answers(child.spec.probe))
        ended = asyncio.create_task(self._wait(child))
        try:
            await asyncio.wait({told, ended}, return_when=asyncio.FIRST_COMPLETED)
            return told.done() and not ended.done() and told.result()
        finally:
            await _cancel(told, ended)

    @staticmethod
    async def _wait(child: _Child) -> int:
        return 0 if child.process is None else await child.process.wait()


async def _told(ready_fd: int) -> bool:
    """Whether a byte came before the end of the pipe."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(ready_fd, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(ready_fd)
    return os.read(ready_fd, 1) != b""


async def _answers(probe: Callable[[], Awaitable[None]]) -> bool:
    await probe()
    return True


async def _cancel(*tasks: asyncio.Future[bool] | asyncio.Task[int]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _ending(status: int) -> str:
    if status < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
