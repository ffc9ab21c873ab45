"""Starts children, starts those again that die or hang, and stops them in the order that is asked for.

It must never signal a process that it has not started, and never let one outlive it: each child is tethered to it by
the kernel (`die_with_parent.py`). Each runs in a session of its own, or a Ctrl-C in the terminal would reach the
server at the same moment as the gateways, which still have to answer what is in flight.
"""

import asyncio
import math
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from claimd.errors import StartError
from claimd.supervisor import die_with_parent
from claimd.supervisor.heartbeat import read_beats
from claimd.supervisor.watch import Watch

_FIRST_BACKOFF_SECONDS = 0.1
_MAX_BACKOFF_SECONDS = 5.0
# Once it has served for so long, what ended it was not its start: whoever waits for it is not made to wait longer.
_LIVED_WELL_SECONDS = 1.0
# After SIGKILL. The kernel may need longer, for one that waits for its disk; nothing else can be done about that.
_DYING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Spec:
    """How to run one child. `command` starts with a path.

    A child tells that it is ready with a byte on the descriptor that `--ready-fd` names, which is added to its
    command; further bytes show that it is alive. One that cannot has a `probe`, which returns when it is ready and
    never raises, and `beats`, which calls its argument whenever it shows life. `on_answering` gets whether it does,
    whenever that changes. `explain` adds to the sentence that says why it did not come up.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    pass_fds: tuple[int, ...] = ()
    probe: Callable[[], Awaitable[None]] | None = None
    beats: Callable[[Callable[[], None]], Awaitable[None]] | None = None
    on_answering: Callable[[bool], None] = lambda _: None
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

    async def stop(self, *prefixes: str, seconds: float = math.inf) -> None:
        """SIGTERM those whose name starts so, then SIGKILL those that have not ended in time; all at the same time.

        The time is that of each child, and `seconds` at most.
        """
        chosen = [name for name in self._children if name.startswith(prefixes)]
        await asyncio.gather(*(self._stop(self._children.pop(name), seconds) for name in chosen))

    def hurry(self) -> None:
        """Whoever is being stopped, now or later, is killed at once."""
        self._hurry.set()

    def _start(self, spec: Spec) -> _Child:
        child = _Child(spec, asyncio.get_running_loop().create_future())
        self._children[spec.name] = child
        child.keeper = asyncio.create_task(self._keep(child), name=spec.name)
        return child

    async def _stop(self, child: _Child, seconds: float) -> None:
        keeper = child.keeper
        if keeper is None:
            return
        began = time.monotonic()
        child.stopping.set()
        if not child.ready.done() or child.ready.exception() is not None:
            # Whoever waited for it has given up; asyncio would complain of a result that nobody took.
            child.ready.cancel()
        child.signal(signal.SIGTERM)
        hurry = asyncio.create_task(self._hurry.wait())
        patience = max(0.0, min(seconds, child.spec.stop_seconds))
        await asyncio.wait({keeper, hurry}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        how = "stopped"
        if not keeper.done():
            child.signal(signal.SIGKILL)
            await asyncio.wait({keeper}, timeout=_DYING_SECONDS)
            how = "killed"
        if keeper.done():
            await keeper
        else:
            how = "was sent SIGKILL, but has not ended"
            await _cancel(keeper)
        self._say(f"  {child.spec.name} {how} after {time.monotonic() - began:.1f} s")

    async def _keep(self, child: _Child) -> None:
        backoff_seconds = _FIRST_BACKOFF_SECONDS
        while not child.stopping.is_set():
            ready_at = None
            try:
                ready_at = await self._run(child)
                what = f"{child.spec.name} {_ending(await self._wait(child))}"
            except OSError as error:
                what = f"{child.spec.name} cannot be started ({error.strerror})"
            if child.stopping.is_set():
                break
            if not child.ready.done():
                child.ready.set_exception(StartError(f"{what} before it was ready{child.spec.explain()}"))
                return
            why = "" if ready_at else child.spec.explain()
            if ready_at and time.monotonic() - ready_at >= _LIVED_WELL_SECONDS:
                backoff_seconds = _FIRST_BACKOFF_SECONDS
            self._say(f"{what}: starting it again in {backoff_seconds:.1f} s{why}")
            with suppress(TimeoutError):
                await asyncio.wait_for(child.stopping.wait(), backoff_seconds)
            backoff_seconds = min(2 * backoff_seconds, _MAX_BACKOFF_SECONDS)

    async def _run(self, child: _Child) -> float | None:
        """Run a process to its end; when it became ready, None for one that never was."""
        beats_read, beats_write = os.pipe()
        try:
            try:
                child.process = await self._launch(child.spec, beats_write)
            finally:
                os.close(beats_write)
            self._on_started(child.spec.name, child.process.pid)
            if child.stopping.is_set():
                child.signal(signal.SIGTERM)
            return await self._watch(child, child.process, beats_read)
        finally:
            os.close(beats_read)

    @staticmethod
    async def _launch(spec: Spec, ready_fd: int) -> asyncio.subprocess.Process:
        command, pass_fds = spec.command, spec.pass_fds
        if spec.probe is None:
            command, pass_fds = (*command, "--ready-fd", str(ready_fd)), (*pass_fds, ready_fd)
        tie = (sys.executable, "-I", "-S", str(Path(die_with_parent.__file__)), str(os.getpid()))
        return await asyncio.create_subprocess_exec(
            *tie,
            *command,
            env=dict(spec.environment),
            pass_fds=pass_fds,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            umask=0o077,
        )

    async def _watch(self, child: _Child, process: asyncio.subprocess.Process, beats_fd: int) -> float | None:
        """Watch a process until it has ended, and kill it where it hangs; when it became ready."""
        spec, watch, ready_at = child.spec, Watch(child.spec.on_answering, partial(self._give_up, child)), None
        watching = asyncio.create_task(watch.run())
        listening = asyncio.create_task(_listen(spec, beats_fd, watch))
        ready = asyncio.ensure_future(spec.probe() if spec.probe is not None else watch.first.wait())
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                ready_at = time.monotonic()
                watch.ready()
                self._note_ready(child, process.pid)
            await ended
            return ready_at
        finally:
            watch.gone()
            await _cancel(watching, listening, ready, ended)

    def _note_ready(self, child: _Child, pid: int) -> None:
        if child.ready.done():
            self._say(f"{child.spec.name} is back (pid {pid})")
        else:
            child.ready.set_result(None)

    def _give_up(self, child: _Child, seconds: float) -> None:
        self._say(f"{child.spec.name} has not answered for {seconds:.0f} s: killing it")
        child.signal(signal.SIGKILL)

    @staticmethod
    async def _wait(child: _Child) -> int:
        return 0 if child.process is None else await child.process.wait()


async def _listen(spec: Spec, beats_fd: int, watch: Watch) -> None:
    """Hear a child's signs of life, for as long as it has a way to give them."""
    if spec.probe is None:
        await read_beats(beats_fd, watch.heard)
    elif spec.beats is not None:
        await spec.beats(watch.heard)
    if watch.first.is_set():
        watch.end()


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _ending(status: int) -> str:
    if status < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
