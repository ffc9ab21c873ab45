"""The environments that faults are injected into: a `claimd up`, started as a user would start it, and its server.

Each is a context manager that takes a folder of its own, and stops all that it started.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

import psutil

from loadtest.faults.log_reader import LogReader
from loadtest.faults.proxy import Proxy
from loadtest.target import claimd_up
from loadtest.target.claimd_up import Claimd
from loadtest.target.valkey import Valkey

FEW_FILES: Final = 300
_DISK_MIB: Final = 64
_CLOCK_LIBRARY: Final = "faketime/libfaketime.so.1"

Part = TypeVar("Part")


class SkippedError(Exception):
    """The environment is not possible on this machine; the message gives the reason."""


@dataclass(slots=True)
class Environment:
    """A running claimd. `server` and `proxy` are there where it does not use its embedded server."""

    claimd: Claimd
    stack: ExitStack
    """Closed at the end. A fault leaves here what it starts in place of what it stopped."""
    workers: int = 1
    server: Valkey | None = None
    proxy: Proxy | None = None
    replica: Valkey | None = None
    log_reader: LogReader | None = None
    """Where claimd's log is a pipe."""

    @property
    def server_socket(self) -> Path:
        """The unix socket of the server itself, also behind a proxy."""
        if self.server is not None:
            return self.server.socket
        return Path(unquote(urlsplit(self.claimd.redis_url).path))

    def process(self, name: str) -> psutil.Process:
        """Return the process of `supervisor`, `valkey`, `console`, `gateway-0` …"""
        return psutil.Process(self.claimd.pid(name))

    def restart(self) -> None:
        """Start claimd again after it ended, on the same ports and data. Raises children.TargetError."""
        self.stack.enter_context(claimd_up.started(self.claimd, self.workers))


EnvironmentFactory: TypeAlias = Callable[[Path], AbstractContextManager[Environment]]


def require(part: Part | None) -> Part:
    """Return a part of the environment that a fault needs. Raises RuntimeError if the environment has none."""
    if part is None:
        raise RuntimeError("this fault needs another environment")
    return part


@contextmanager
def embedded(home: Path, workers: int = 1, data_dir: Path | None = None) -> Iterator[Environment]:
    """`claimd up` with its embedded server."""
    claimd = claimd_up.prepare(home, home / "claimd.log", data_dir)
    with ExitStack() as stack:
        stack.enter_context(claimd_up.started(claimd, workers))
        yield Environment(claimd, stack, workers)


@contextmanager
def two_workers(home: Path) -> Iterator[Environment]:
    """`claimd up` with its embedded server and two gateways."""
    with embedded(home, workers=2) as environment:
        yield environment


@contextmanager
def external_server(home: Path, variables: dict[str, str] | None = None) -> Iterator[Environment]:
    """`claimd up` on an external Valkey, which has more environment `variables`."""
    claimd = claimd_up.prepare(home, home / "claimd.log")
    with ExitStack() as stack:
        server = stack.enter_context(Valkey.running(home / "v", environment=variables))
        stack.enter_context(_claimd_on(claimd, server.socket))
        yield Environment(claimd, stack, server=server)


@contextmanager
def few_files(home: Path) -> Iterator[Environment]:
    """The same, with at most 300 open files for each process of claimd."""
    claimd = claimd_up.prepare(home, home / "claimd.log")
    limited = ("sh", "-c", f'ulimit -n {FEW_FILES}; exec "$@"', "sh")
    with ExitStack() as stack:
        server = stack.enter_context(Valkey.running(home / "v"))
        stack.enter_context(_claimd_on(claimd, server.socket, prefix=limited))
        yield Environment(claimd, stack, server=server)


@contextmanager
def behind_a_proxy(home: Path) -> Iterator[Environment]:
    """`claimd up` on an external Valkey, with a proxy between the two."""
    claimd = claimd_up.prepare(home, home / "claimd.log")
    with ExitStack() as stack:
        server = stack.enter_context(Valkey.running(home / "v"))
        proxy = stack.enter_context(Proxy.running(home / "p", server.socket))
        stack.enter_context(_claimd_on(claimd, home / "p"))
        yield Environment(claimd, stack, server=server, proxy=proxy)


@contextmanager
def with_a_replica(home: Path) -> Iterator[Environment]:
    """The same, with a replica that has to confirm a claim before it is acknowledged. A failover moves the proxy."""
    claimd = claimd_up.prepare(home, home / "claimd.log")
    with ExitStack() as stack:
        server = stack.enter_context(new_server(home / "v0"))
        replica = stack.enter_context(new_server(home / "v1"))
        replica.replicate(server)
        proxy = stack.enter_context(Proxy.running(home / "p", server.socket))
        stack.enter_context(_claimd_on(claimd, home / "p", "--durability=replica"))
        yield Environment(claimd, stack, server=server, proxy=proxy, replica=replica)


@contextmanager
def log_to_a_pipe(home: Path) -> Iterator[Environment]:
    """`claimd up` with two gateways, whose log is a pipe."""
    claimd = claimd_up.prepare(home, home / "claimd.log")
    with ExitStack() as stack:
        reader = stack.enter_context(LogReader.running(home / "pipe", claimd.log))
        stack.enter_context(claimd_up.started(claimd, 2, output=home / "pipe"))
        # A gateway that waits for its log could not be stopped either.
        stack.callback(reader.resume_reading)
        yield Environment(claimd, stack, workers=2, log_reader=reader)


@contextmanager
def small_disk(home: Path) -> Iterator[Environment]:
    """`claimd up` whose data directory is on a disk of 64 MiB. Raises SkippedError if this user may not mount one."""
    with ExitStack() as stack:
        disk = stack.enter_context(_mounted_disk(home / "disk"))
        yield stack.enter_context(embedded(home, data_dir=disk / "data"))


@contextmanager
def settable_clock(home: Path) -> Iterator[Environment]:
    """`claimd up` on a Valkey with the clock offset in `clock_file`. Raises SkippedError without libfaketime."""
    library = next(
        (path for root in ("/usr/lib", "/usr/lib64") for path in Path(root).glob(f"**/{_CLOCK_LIBRARY}")), None
    )
    if library is None:
        raise SkippedError("setting a server's clock takes libfaketime (Debian: faketime)")
    file = clock_file(home / "v")
    file.write_text("+0\n")
    variables = {
        "LD_PRELOAD": os.fspath(library),
        "FAKETIME_TIMESTAMP_FILE": os.fspath(file),
        "FAKETIME_NO_CACHE": "1",
        # The time of day is set; timeouts, which use the monotonic clock, stay correct.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with external_server(home, variables) as environment:
        yield environment


def clock_file(folder: Path) -> Path:
    """Return the file from which libfaketime reads the offset, in seconds, of the clock of the server in `folder`."""
    return folder.with_name("clock")


def new_server(folder: Path) -> AbstractContextManager[Valkey]:
    """Return a Valkey with a port, which can have replicas and be one."""
    return Valkey.running(folder, port=claimd_up.free_ports(1)[0])


@contextmanager
def _claimd_on(claimd: Claimd, socket: Path, *flags: str, prefix: Sequence[str] = ()) -> Iterator[None]:
    with claimd_up.started(claimd, 1, prefix, flags=(f"--redis-url=unix://{socket}", *flags)):
        yield


@contextmanager
def _mounted_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m,mode=700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise SkippedError("mounting a small disk takes root")
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode != 0:
        raise SkippedError(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
