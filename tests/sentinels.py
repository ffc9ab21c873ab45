"""Real Sentinels for the tests."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.servers import Kind, Server, binary, free_port

SERVICE = "night"


def started(kind: Kind, folder: Path, configuration: str) -> tuple[int, "subprocess.Popen[bytes]"]:
    """A Sentinel, and its port."""
    port, program = free_port(), binary(kind)
    assert program is not None
    file = folder / f"{port}.conf"
    file.write_text(f"port {port}\nbind 127.0.0.1\ndir {folder}\nlogfile {folder / str(port)}.log\n{configuration}")
    return port, subprocess.Popen([program, file, "--sentinel"])


@dataclass
class Sentinels:
    """Three Sentinels that watch a primary and its replica, and act after half a second of silence."""

    primary: Server
    ports: list[int] = field(default_factory=list)
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Their addresses; the first is that of none of them."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in (free_port(), *self.ports))
        return f"redis+sentinel://{hosts}/{SERVICE}"

    def client(self, number: int = 0) -> "redis.Redis":
        """A client of one Sentinel."""
        retry = Retry(ConstantBackoff(0.02), 500)
        port = self.ports[number]
        return redis.Redis(port=port, retry=retry, retry_on_error=[redis.RedisError], protocol=2, decode_responses=True)

    def primary_port(self) -> int:
        """The port of the primary by the first of them."""
        with self.client() as client:
            _, port = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(port)

    def start(self, folder: Path) -> None:
        """Start one more."""
        port, process = started(
            self.primary.kind,
            folder,
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.primary.port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\nsentinel failover-timeout {SERVICE} 2000\n",
        )
        self.processes.append(process)
        self.ports.append(port)

    def await_each_other(self) -> None:
        """Return when each knows the two others and the replica: only then can they fail over."""
        for number in range(len(self.ports)):
            with self.client(number) as client:
                while True:
                    state = client.sentinel_masters()[SERVICE]
                    if state["num-other-sentinels"] == len(self.ports) - 1 and state["num-slaves"] == 1:
                        break


@contextmanager
def watching(primary: Server) -> Iterator[Sentinels]:
    """Three Sentinels that watch this server, and know each other and its replica."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="claimd-test-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        sentinels = Sentinels(primary)
        for _ in range(3):
            sentinels.start(folder)
        for process in sentinels.processes:
            stack.callback(process.wait)
            stack.callback(process.kill)
        sentinels.await_each_other()
        yield sentinels
