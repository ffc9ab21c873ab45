"""Real servers for the tests: the embedded Valkey, and Redis where one is installed. Each has its own folder."""

import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Literal

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from claimd.embedded.binary import valkey_binary
from loadtest.target.valkey import Valkey

Kind = Literal["valkey", "redis"]


def binary(kind: Kind) -> str | None:
    """The path of the server's program, or None where it is not installed."""
    return str(valkey_binary()) if kind == "valkey" else shutil.which("redis-server")


def free_port() -> int:
    """A TCP port of this machine on which no process listens at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Server(Valkey):
    """A Valkey or Redis of the tests, with the commands that corrupt it. It can be killed and started again."""

    def __init__(self, kind: Kind, folder: Path, port: int | None = None) -> None:
        """`port` is for replication, which needs TCP; None: only the unix socket."""
        program = binary(kind)
        assert program is not None
        super().__init__(folder, port=port or 0, program=Path(program), options={"enable-debug-command": "yes"})
        self.kind = kind

    @classmethod
    def started(cls, kind: Kind, port: int | None = None) -> "Server":
        """A running server in a new folder, whose path is short enough for a socket."""
        server = cls(kind, Path(tempfile.mkdtemp(prefix="claimd-test-")), port)
        server.start()
        return server

    @property
    def url(self) -> str:
        """The server's address, as in CLAIMD_REDIS_URL."""
        return f"unix://{self.socket}"

    def freeze(self) -> None:
        """Stop the process with SIGSTOP: it keeps its connections and sends no reply."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue the process after `freeze`."""
        self.signal(signal.SIGCONT)

    def client(self) -> "redis.Redis":
        """A plain client, with which tests read and damage the data; it retries while the server starts."""
        retry = Retry(ConstantBackoff(0.02), 500)
        return redis.Redis(unix_socket_path=str(self.socket), retry=retry, retry_on_error=[redis.RedisError])
