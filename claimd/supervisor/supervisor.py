"""Starts children, restarts those that end or hang, and stops them in the order that the caller chooses.

It must never signal a process that it has not started, and no child may outlive it: the kernel kills each with it
(`die_with_parent.py`). Each child runs in a session of its own: a Ctrl-C in the terminal would otherwise reach Valkey
at the same moment as the gateways, which still have to answer claims in flight.
"""

import asyncio
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from claimd.errors import StartError
from claimd.supervisor import die_with_parent
from claimd.supervisor.child_spec import ChildSpec
from claimd.supervisor.heartbeat import read_heartbeats
from claimd.supervisor.watch import Watch

_FIRST_BACKOFF_SECONDS = 0.1
_MAX_BACKOFF_SECONDS = 5.0
# A child that was ready for so long did not end because of its start: the backoff begins anew.
_STABLE_SECONDS = 1.0
# After SIGKILL. The kernel takes longer for a process that waits for its disk; nothing else can be done about that.
_LAST_BYTES_SECONDS = 1.0
_KILL_SECONDS = 1.0


@dataclass(slots=True)
class _Child:
    spec: ChildSpec
    ready: asyncio.Future[None]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    process: asyncio.subprocess.Process | None = None
    # Runs its processes, one after the other, until it is stopped.
    running: asyncio.Task[None] | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send the signal to its process if one runs."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """Runs children. `print_line` gets lines for an operator; `on_started` the name and pid of each started process."""

    def __init__(self, print_line: Callable[[str], None], on_started: Callable[[str, int], None]) -> None:
        self._print_line = print_line
        self._on_started = on_started
        self._children: dict[str, _Child] = {}
        self._kills_at_once = asyncio.Event()

    async def start(self, specs: Iterable[ChildSpec]) -> None:
        """Start children and wait until all are ready. Raises StartError as soon as one has ended before that."""
        started = [self._start(spec) for spec in specs]
        # Where this is cancelled, `stop` still finds and ends the children.
        await asyncio.gather(*(asyncio.shield(child.ready) for child in started))

    async def stop(self, *prefixes: str, seconds: float = math.inf) -> None:
        """Stop the children whose names have one of these prefixes, all at the same time; return when they have ended.

        Each gets SIGTERM, and SIGKILL if it has not ended after the `stop_seconds` of its spec, or after `seconds`.
        """
        chosen = [name for name in self._children if name.startswith(prefixes)]
        await asyncio.gather(*(self._stop(self._children.pop(name), seconds) for name in chosen))

    def kill_at_once(self) -> None:
        """Make every stop, those in progress too, send SIGKILL without waiting."""
        self._kills_at_once.set()

    def _start(self, spec: ChildSpec) -> _Child:
        child = _Child(spec, asyncio.get_running_loop().create_future())
        self._children[spec.name] = child
        child.running = asyncio.create_task(self._run_until_stopped(child), name=spec.name)
        return child

    async def _stop(self, child: _Child, seconds: float) -> None:
        running = child.running
        if running is None:
            return
        began = time.monotonic()
        child.stopping.set()
        if not child.ready.done() or child.ready.exception() is not None:
            # Its start was given up; asyncio would log an exception that is never retrieved.
            child.ready.cancel()
        child.signal(signal.SIGTERM)
        kills_at_once = asyncio.create_task(self._kills_at_once.wait())
        patience = max(0.0, min(seconds, child.spec.stop_seconds))
        await asyncio.wait({running, kills_at_once}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        kills_at_once.cancel()
        how = "stopped"
        if not running.done():
            child.signal(signal.SIGKILL)
            await asyncio.wait({running}, timeout=_KILL_SECONDS)
            how = "killed"
        if running.done():
            await running
        else:
            how = "was sent SIGKILL, but has not ended"
            await _cancel(running)
        self._print_line(f"  {child.spec.name} {how} after {time.monotonic() - began:.1f} s")

    async def _run_until_stopped(self, child: _Child) -> None:
        """Run a child, and run it again with a growing backoff, until it is stopped or its first start fails."""
        backoff_seconds = _FIRST_BACKOFF_SECONDS
        while not child.stopping.is_set():
            ready_at = None
            try:
                ready_at = await self._run_once(child)
                what = f"{child.spec.name} {_describe_status(await self._status(child))}"
            except OSError as error:
                what = f"{child.spec.name} cannot be started ({error.strerror})"
            if child.stopping.is_set():
                break
            if not child.ready.done():
                child.ready.set_exception(StartError(f"{what} before it was ready{child.spec.explain()}"))
                return
            why = "" if ready_at else child.spec.explain()
            if ready_at and time.monotonic() - ready_at >= _STABLE_SECONDS:
                backoff_seconds = _FIRST_BACKOFF_SECONDS
            self._print_line(f"{what}: starting it again in {backoff_seconds:.1f} s{why}")
            with suppress(TimeoutError):
                await asyncio.wait_for(child.stopping.wait(), backoff_seconds)
            backoff_seconds = min(2 * backoff_seconds, _MAX_BACKOFF_SECONDS)

    async def _run_once(self, child: _Child) -> float | None:
        """Run one process until it ends. Returns the moment at which it became ready, None if it never did."""
        heartbeats_fd, ready_fd = os.pipe()
        try:
            try:
                child.process = await self._launch(child.spec, ready_fd)
            finally:
                os.close(ready_fd)
            self._on_started(child.spec.name, child.process.pid)
            if child.stopping.is_set():
                child.signal(signal.SIGTERM)
            return await self._watch(child, child.process, heartbeats_fd)
        finally:
            os.close(heartbeats_fd)

    @staticmethod
    async def _launch(spec: ChildSpec, ready_fd: int) -> asyncio.subprocess.Process:
        command, pass_fds = spec.command, spec.pass_fds
        if spec.probe is None:
            command, pass_fds = (*command, "--ready-fd", str(ready_fd)), (*pass_fds, ready_fd)
        wrapper = (sys.executable, "-I", "-S", str(Path(die_with_parent.__file__)), str(os.getpid()))
        return await asyncio.create_subprocess_exec(
            *wrapper,
            *command,
            env=dict(spec.environment),
            pass_fds=pass_fds,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            umask=0o077,
        )

    async def _watch(self, child: _Child, process: asyncio.subprocess.Process, heartbeats_fd: int) -> float | None:
        """Wait until a process ends, and kill it if it hangs. Returns the moment at which it became ready, or None."""
        spec, watch, ready_at = child.spec, Watch(child.spec.on_answering, partial(self._kill_hung, child)), None
        watching = asyncio.create_task(watch.run())
        listening = asyncio.create_task(_listen(spec, heartbeats_fd, watch))
        ready = asyncio.ensure_future(spec.probe() if spec.probe is not None else watch.first_heartbeat.wait())
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and spec.probe is None:
                # The report of a child that ended right after it may still be in the pipe.
                await asyncio.wait({listening}, timeout=_LAST_BYTES_SECONDS)
            if not ended.done() or (spec.probe is None and watch.first_heartbeat.is_set()):
                ready_at = time.monotonic()
                watch.mark_ready()
                self._report_ready(child, process.pid)
            await ended
            return ready_at
        finally:
            watch.mark_ended()
            await _cancel(watching, listening, ready, ended)

    def _report_ready(self, child: _Child, pid: int) -> None:
        if child.ready.done():
            self._print_line(f"{child.spec.name} is back (pid {pid})")
        else:
            child.ready.set_result(None)

    def _kill_hung(self, child: _Child, silent_seconds: float) -> None:
        self._print_line(f"{child.spec.name} has not answered for {silent_seconds:.0f} s: killing it")
        child.signal(signal.SIGKILL)

    @staticmethod
    async def _status(child: _Child) -> int:
        return 0 if child.process is None else await child.process.wait()


async def _listen(spec: ChildSpec, heartbeats_fd: int, watch: Watch) -> None:
    """Pass a child's heartbeats on to its watch, until it can send no more."""
    if spec.probe is None:
        await read_heartbeats(heartbeats_fd, watch.heartbeat)
    elif spec.heartbeats is not None:
        await spec.heartbeats(watch.heartbeat)
    # A child that closes its pipe before its first heartbeat still has to become ready in time.
    if watch.first_heartbeat.is_set():
        watch.expect_no_more()


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _describe_status(status: int) -> str:
    if status < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
