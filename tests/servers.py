"""Real servers for the tests: the Valkey that claimd embeds, and Redis where one is installed.

Each has a temporary folder of its own and keeps everything: append-only file, fsync at each write.
"""

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

from claimd.embedded.binary import valkey_binary

Kind = Literal["valkey", "redis"]


def binary(kind: Kind) -> str | None:
    """The path of the server's program, or None where it is not installed."""
    return str(valkey_binary()) if kind == "valkey" else shutil.which("redis-server")


def free_port() -> int:
    """A TCP port of this machine on which no process listens at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Server:
    """A server process that is reached over a unix socket, and may be killed and started again."""

    kind: Kind
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    # A TCP port, which replication needs; None: the unix socket alone.
    port: int | None = None

    @classmethod
    def start(cls, kind: Kind, port: int | None = None) -> "Server":
        """Start a server in a new folder, whose path is short enough for a socket."""
        server = cls(kind, Path(tempfile.mkdtemp(prefix="claimd-test-")), port=port)
        server.run()
        return server

    def replicate(self, primary: "Server") -> None:
        """Make this server a replica of `primary`; return when it has received all data."""
        assert primary.port is not None
        with self.client() as client:
            client.replicaof("127.0.0.1", str(primary.port))
            while client.info("replication")["master_link_status"] != "up":
                # No sleep: the round trip is the pause.
                client.ping()

    def freeze(self) -> None:
        """Stop the process with SIGSTOP: it keeps its connections and sends no reply."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue the process after `freeze`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    @property
    def url(self) -> str:
        """The server's address, as in CLAIMD_REDIS_URL."""
        return f"unix://{self.folder / 's'}"

    def client(self) -> redis.Redis:
        """A plain client, with which tests read and damage the data; it retries while the server starts."""
        retry = Retry(ConstantBackoff(0.02), 500)
        return redis.Redis(unix_socket_path=str(self.folder / "s"), retry=retry, retry_on_error=[redis.RedisError])

    def run(self) -> None:
        """Start the process; return when it answers PING."""
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
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        self.process = subprocess.Popen([program, *arguments])
        with self.client() as client:
            client.ping()

    def kill(self) -> None:
        """Kill the process with SIGKILL and wait for its end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Kill the process and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
