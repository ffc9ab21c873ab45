"""What hangs for good, and has to be noticed: a gateway, the server, all of it during a stop, the reader of the log."""

import asyncio
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

import psutil

from loadtest.faults.scenario import Scene, World
from loadtest.faults.waiting import BrokenPromiseError, until
from loadtest.target import claimd_up
from loadtest.target.valkey import answers

# By chance, of two workers, all of them to the one that answers: once in 16 million.
_IN_A_ROW: Final = 24
_PATIENCE_SECONDS: Final = 1.0
# In all, whatever hangs.
_STOP_SECONDS: Final = 15.0
_CHILDREN: Final = ("gateway-0", "gateway-1", "console", "valkey")


async def hang_gateway(scene: Scene, times: int) -> None:
    """One of two gateways hangs: soon new connections go to the other, and then another process has its place."""
    claimd = scene.world.claimd
    for _ in range(times):
        await scene.some_time(1.0)
        name = f"gateway-{scene.chance.randrange(scene.world.workers)}"
        hung, hung_at = claimd.pid(name), time.monotonic()
        os.kill(hung, signal.SIGSTOP)
        while not await _served_in_a_row(claimd.port):
            pass
        scene.recoveries.append(time.monotonic() - hung_at)
        await until(lambda name=name, hung=hung: claimd.pid(name) != hung, f"{name} again")  # type: ignore[misc]
        await _heard_from(scene, name)
        scene.done_once()


async def hang_server(scene: Scene, times: int) -> None:
    """The embedded server hangs, with claims on their way: it is started again, with all that was acknowledged."""
    claimd = scene.world.claimd
    for _ in range(times):
        await scene.some_time(1.5)
        hung = claimd.pid("valkey")
        os.kill(hung, signal.SIGSTOP)
        await until(lambda hung=hung: claimd.pid("valkey") != hung, "another server")  # type: ignore[misc]
        await until(lambda: answers(scene.world.server_socket), "the server answers again")
        await scene.recovered(time.monotonic())
        scene.done_once()


async def stop_hung(scene: Scene, times: int) -> None:
    """Everything but the supervisor hangs when it is asked to stop: it is over in time, and nothing is left or lost."""
    claimd = scene.world.claimd
    for _ in range(times):
        await scene.some_time(0.5)
        supervisor = psutil.Process(claimd.pid("supervisor"))
        children = [psutil.Process(claimd.pid(name)) for name in _CHILDREN]
        for child in children:
            child.suspend()
        asked_at = time.monotonic()
        supervisor.terminate()
        await until(lambda s=supervisor: not _lives(s), "it has stopped")  # type: ignore[misc]
        if time.monotonic() - asked_at > _STOP_SECONDS:
            raise BrokenPromiseError(f"the stop took {time.monotonic() - asked_at:.1f} s")
        if any(map(_lives, children)):
            raise BrokenPromiseError("a child outlived the stop")
        again = claimd_up.started(claimd, scene.world.workers)
        await asyncio.to_thread(scene.world.stack.enter_context, again)
        await scene.recovered(time.monotonic())
        scene.done_once()


async def unread_log(scene: Scene, times: int) -> None:
    """The log is a pipe, and full: a gateway and the server die, and all goes on; then what was said is read."""
    claimd, reader = scene.world.claimd, scene.world.log_reader
    if reader is None:
        raise RuntimeError("this takes a log that is a pipe")
    for number in range(times):
        await scene.some_time(0.5)
        reader.stop_reading()
        name = f"gateway-{number % scene.world.workers}"
        dead = {each: claimd.pid(each) for each in (name, "valkey")}
        for pid in dead.values():
            os.kill(pid, signal.SIGKILL)
        for each, pid in dead.items():
            await until(lambda each=each, pid=pid: claimd.pid(each) != pid, f"{each} again")  # type: ignore[misc]
        await until(lambda: answers(scene.world.server_socket), "the server answers again")
        await scene.recovered(time.monotonic())
        reader.go_on()
        for each in dead:
            await _heard_from(scene, each)
        scene.done_once()


class LogReader:
    """Reads a named pipe into a file, and stops reading on request. Use `running`."""

    def __init__(self, pipe: Path, log: Path) -> None:
        self._pipe = pipe
        # For both directions, or opening would wait for a writer. The flag is for this opening alone.
        self._fd = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self._log = log.open("wb", buffering=0)
        self._reading = threading.Event()
        self._reading.set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read_on, name="log reader", daemon=True)

    @classmethod
    @contextmanager
    def running(cls, pipe: Path, log: Path) -> Iterator[Self]:
        """One for a pipe that it makes."""
        os.mkfifo(pipe)
        reader = cls(pipe, log)
        reader._thread.start()
        try:
            yield reader
        finally:
            reader._over.set()
            reader._reading.set()
            reader._thread.join()
            reader._log.close()
            os.close(reader._fd)

    def stop_reading(self) -> None:
        """Leave the pipe full, so that a plain write to it would block from now on."""
        self._reading.clear()
        with suppress(BlockingIOError):
            while not self._reading.is_set():
                os.write(self._fd, b"\n")

    def go_on(self) -> None:
        """Read again."""
        self._reading.set()

    def _read_on(self) -> None:
        while not self._over.is_set():
            self._reading.wait()
            if select.select([self._fd], [], [], 0.05)[0] and self._reading.is_set():
                with suppress(BlockingIOError):
                    self._log.write(os.read(self._fd, 65536))


@contextmanager
def with_a_log_reader(home: Path) -> Iterator[World]:
    """`claimd up` with two gateways, whose log is a pipe."""
    claimd = claimd_up.prepare(home, home / "claimd.log")
    with ExitStack() as stack:
        reader = stack.enter_context(LogReader.running(home / "pipe", claimd.log))
        stack.enter_context(claimd_up.started(claimd, 2, output=home / "pipe"))
        # A gateway that waits for its log could not be stopped either.
        stack.callback(reader.go_on)
        yield World(claimd, stack, workers=2, log_reader=reader)


async def _heard_from(scene: Scene, name: str) -> None:
    claimd = scene.world.claimd
    line = f"{name} is back (pid {claimd.pid(name)})"
    await until(lambda: line in claimd.log.read_text(errors="replace"), line)


async def _served_in_a_row(port: int) -> bool:
    """Whether so many new connections are all served, each within a second."""
    for _ in range(_IN_A_ROW):
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(b"GET /healthz HTTP/1.1\r\nHost: claimd\r\nConnection: close\r\n\r\n")
                    await reader.readuntil(b"\r\n\r\n")
                finally:
                    writer.transport.abort()
        except (OSError, EOFError, TimeoutError):
            return False
    return True


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False
