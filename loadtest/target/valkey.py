"""Starts a Valkey of the harness's own, as durable as claimd requires it; the project's tests start theirs here, too.

Each has a folder of its own and listens on a unix socket in it, so any number can run side by side.
"""

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

from claimd.embedded.binary import valkey_binary
from loadtest.target.children import TargetError

_READY_SECONDS: Final = 30.0
_PROBE_SECONDS: Final = 0.005
_ANSWER_SECONDS: Final = 5.0


class Valkey:
    """A server that can be killed and started again on the same files. Use `running`, or `start` and `end`."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        program: Path | None = None,
        options: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`folder` must exist; a long path makes the socket's too long (about 100 characters).

        `port` is a TCP port for replication, 0 for none. `program` is another server that takes the same options
        (redis-server). `options` and `environment` are added to the configuration and to this process's environment.
        """
        self.folder = folder
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None
        self._program = program
        self._options = dict(options or {})
        self._environment = environment

    @classmethod
    @contextmanager
    def running(cls, folder: Path, *, port: int = 0, environment: Mapping[str, str] | None = None) -> Iterator[Self]:
        """Make `folder` and run a server in it; kill the server on leaving, whatever its state. Raises TargetError."""
        folder.mkdir()
        valkey = cls(folder, port=port, environment=environment)
        valkey.start()
        try:
            yield valkey
        finally:
            valkey.end()

    @property
    def socket(self) -> Path:
        """The path of its unix socket."""
        return self.folder / "s"

    @property
    def pid(self) -> int:
        """The id of its process. Raises RuntimeError where it was never started."""
        return self._started().pid

    def start(self) -> None:
        """Start the process and return once it has read its files and answers. Raises TargetError."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "repl-diskless-sync-delay": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "logfile": str(self.folder / "log"),
            **self._options,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self.process = launch(*words, program=self._program, environment=self._environment)
        await_answer(self.socket, self.process, self.folder / "log")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP: a stopped server keeps its connections and answers nothing."""
        self._started().send_signal(number)

    def kill(self) -> None:
        """Send SIGKILL and wait until the process has ended. Does nothing where it was never started."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def end(self) -> None:
        """Kill it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def replicate(self, primary: "Valkey") -> None:
        """Become a replica of `primary`, which needs a port; return once it has all data. Raises TargetError."""
        deadline = time.monotonic() + _READY_SECONDS
        with self.client() as redis:
            redis.replicaof("127.0.0.1", str(primary.port))
            while redis.info("replication").get("master_link_status") != "up":
                if time.monotonic() > deadline:
                    raise TargetError(f"the replica has not all data of its primary after {_READY_SECONDS:g} s")
                time.sleep(_PROBE_SECONDS)

    def promote(self) -> None:
        """Make a replica a primary."""
        with self.client() as redis:
            redis.replicaof("NO", "ONE")

    def client(self) -> "Redis":
        """A new client of it; see `client`."""
        return client(self.socket)

    def _started(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise RuntimeError("the server is not started")
        return self.process


def launch(
    *arguments: str, program: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start the embedded Valkey's binary, or `program`, with these arguments; see `await_answer`.

    It has a session of its own, so that Ctrl-C ends only the harness, which then ends its servers in order.
    """
    return subprocess.Popen(
        [str(program or valkey_binary()), *arguments],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def client(socket: Path) -> "Redis":
    """A plain client of a server on a unix socket: no retries, replies within 5 s."""
    return Redis(unix_socket_path=str(socket), socket_timeout=_ANSWER_SECONDS, retry=Retry(NoBackoff(), 0))


def answers(socket: Path) -> bool:
    """Whether the server on this socket has read its files and answers PING."""
    with suppress(RedisError, OSError), client(socket) as probe:
        return bool(probe.ping())
    return False


def await_answer(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once a server that was just started answers. Raises TargetError, with the end of its log, after 30 s."""
    deadline = time.monotonic() + _READY_SECONDS
    while not answers(socket):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(errors="replace").splitlines()[-3:] if log.exists() else []
            raise TargetError(f"the server ended with {process.poll()}: {' / '.join(lines)}")
        time.sleep(_PROBE_SECONDS)
