"""`claimd up`: everything on one machine, started in order, watched, and stopped in order.

It decides no claims itself. Whatever happens, it leaves with no child alive and with a sentence that says why.
"""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from claimd import __version__
from claimd.doctor.examine import examine
from claimd.doctor.findings import tell
from claimd.doctor.tokens import check_tokens
from claimd.doctor.variables import check_variables
from claimd.embedded.data_dir import DataDir, usable
from claimd.embedded.process_file import Record, read_record
from claimd.embedded.valkey import Embedded
from claimd.errors import StartError
from claimd.installation import known_installation
from claimd.settings import Settings, SettingsError
from claimd.store.redis.acknowledgement import Durability
from claimd.store.redis.client import connect
from claimd.supervisor.child_environment import child_environment, without_settings
from claimd.supervisor.listeners import listen, url_of
from claimd.supervisor.open_files import few_files_warning, raise_open_files
from claimd.supervisor.roles import console_spec, gateway_specs
from claimd.supervisor.signals import StopRequest
from claimd.supervisor.supervisor import Supervisor
from claimd.up.secret import prepare_secret, with_agreed_secret

Say = Callable[[str], None]

# Children that a killed supervisor left are gone within milliseconds; until then they may hold the port.
_GRACE_SECONDS = 3.0

# Since the beginning of the stop, in its order; whatever hangs, all is over within 15 s. A gateway drains in 8.5.
_ENDED_AFTER_SECONDS = {"gateway-": 9.0, "console": 10.5, "valkey": 13.0}


async def up(settings: Settings, say: Say, *, accept_lost_claims: bool = False) -> None:
    """Run until SIGTERM or SIGINT. Raises SettingsError, or StartError with all stopped, where it cannot start."""
    few_files = few_files_warning(raise_open_files())
    if settings.redis_url is None and settings.durability is Durability.REPLICA:
        raise SettingsError("CLAIMD_DURABILITY: the embedded server has no replica; name one's own with --redis-url")
    with ExitStack() as stack:
        data_dir = stack.enter_context(DataDir.open(settings.data_dir))
        grace_seconds = _GRACE_SECONDS if read_record(data_dir.path) else 0.0
        record = Record(data_dir.path)
        with usable(data_dir.path):
            record.put("supervisor", pid=os.getpid())
        stack.callback(record.remove)
        say(f"claimd {__version__}")
        if data_dir.is_new:
            say(f"  new       {data_dir.path}: a data directory that starts empty (--data-dir names another)")
        tell(check_variables(), lambda line: say(f"  {line}"))
        if few_files:
            say(few_files)
        sockets = stack.enter_context(_Sockets())
        await sockets.open(settings, grace_seconds)
        with usable(data_dir.path):
            settings = _with_admin_token(settings, data_dir)
        await _Machine(settings, data_dir, sockets, record, say, accept_lost_claims).run()
        say("stopped")


async def supervise_gateways(settings: Settings, say: Say) -> None:
    """Run `settings.workers` gateways on one port until SIGTERM or SIGINT. Raises StartError."""
    few_files = few_files_warning(raise_open_files())
    if few_files:
        say(few_files)
    environment = child_environment(settings, os.environ, without="admin_token")
    listeners = listen(settings.host, settings.port, workers=settings.workers)
    supervisor = Supervisor(say, lambda _name, _pid: None)

    async def start() -> None:
        await supervisor.start(gateway_specs(listeners, environment))
        say(f"ready: {settings.workers} gateways on {url_of(settings.host, listeners[0].getsockname()[1])}")

    async def stop() -> None:
        for listener in listeners:
            listener.close()
        await supervisor.stop("gateway-", seconds=_ENDED_AFTER_SECONDS["gateway-"])

    await _until_asked_to_stop(start, stop, supervisor, say)


async def _until_asked_to_stop(
    start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]], supervisor: Supervisor, say: Say
) -> None:
    """Start, wait for a signal, stop; a signal during the start ends the start."""
    request = StopRequest(on_impatience=supervisor.hurry)
    request.install()
    starting = asyncio.ensure_future(start())
    asked = asyncio.create_task(request.wait())
    try:
        await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await asked
        say(f"{request.signal_name}: stopping, claims in flight are answered first")
    finally:
        starting.cancel()
        asked.cancel()
        await asyncio.gather(starting, asked, return_exceptions=True)
        await stop()


@dataclass
class _Sockets:
    """The listening sockets, bound before anything is started: a port that is taken costs no waiting."""

    gateway: list[socket.socket] = field(default_factory=list)
    console: list[socket.socket] = field(default_factory=list)

    async def open(self, settings: Settings, grace_seconds: float) -> None:
        """Bind both ports, trying for `grace_seconds` where a predecessor may still be dying."""
        deadline = asyncio.get_running_loop().time() + grace_seconds
        while True:
            try:
                self.gateway = self.gateway or listen(settings.host, settings.port, workers=settings.workers)
                self.console = listen(settings.console_host, settings.console_port, setting="console-port")
                return
            except StartError:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
            await asyncio.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this process's copies; closing twice is harmless."""
        for listener in (*self.gateway, *self.console):
            listener.close()


class _Machine:
    """Everything that `claimd up` runs."""

    def __init__(
        self,
        settings: Settings,
        data_dir: DataDir,
        sockets: _Sockets,
        record: Record,
        say: Say,
        accept_lost_claims: bool,
    ) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._sockets = sockets
        self._record = record
        self._say = say
        self._embedded = (
            None if settings.redis_url else Embedded(data_dir.path, say, accept_lost_claims=accept_lost_claims)
        )
        self._supervisor = Supervisor(say, self._note)

    async def run(self) -> None:
        try:
            await _until_asked_to_stop(self._start_or_say_why, self._stop, self._supervisor, self._say)
        finally:
            if self._embedded is not None:
                self._embedded.clear()

    async def _start_or_say_why(self) -> None:
        with usable(self._data_dir.path):
            await self._start()

    async def _start(self) -> None:
        tokens: list[str] = []
        tell(await check_tokens(self._settings), tokens.append)
        if self._embedded is not None:
            prepare_secret(self._settings, self._data_dir, has_data=self._embedded.has_data)
        store = await self._start_store()
        self._settings = await with_agreed_secret(self._settings, self._data_dir)
        self._introduce([*store, *tokens])
        await self._supervisor.start(
            [
                *gateway_specs(self._sockets.gateway, self._environment(without="admin_token")),
                console_spec(
                    self._sockets.console[0],
                    self._environment(without="secret"),
                    embedded=self._embedded is not None,
                ),
            ]
        )
        # Only now: whoever reads an address there may use it.
        self._record.put("gateway", host=self._settings.host, port=_port(self._sockets.gateway))
        self._record.put("console", host=self._settings.console_host, port=_port(self._sockets.console))
        self._say("ready")

    async def _start_store(self) -> list[str]:
        """Have a server, and the lines that say what it is and keeps. Raises StartError where one's own will not do."""
        lines: list[str] = []
        if self._embedded is None:
            installation = known_installation(self._settings, self._data_dir.kept_secret())
            report = await examine(
                self._settings.require_redis_url(),
                self._settings.durability,
                installation=installation,
                compares_secret=installation is not None,
            )
            report.refuse(wait=False)
            report.tell(lines.append)
            return lines
        await self._embedded.prepare()
        self._settings = self._settings.model_copy(update={"redis_url": self._embedded.url})
        await self._supervisor.start([self._embedded.spec(without_settings(os.environ))])
        await self._embedded.note_what_is_written()
        self._record.put("valkey", url=self._embedded.url)
        async with connect(self._embedded.url) as server:
            info = await server.info("server")
        return [
            f"server    embedded Valkey {info['valkey_version']}, files in {_shown(self._data_dir.path)}",
            "durable   every grant is on disk before it is told (appendfsync always)",
        ]

    def _environment(self, without: str) -> dict[str, str]:
        return child_environment(self._settings, os.environ, without=without)

    def _introduce(self, checks: list[str]) -> None:
        settings, workers = self._settings, self._settings.workers
        gateway, console = _port(self._sockets.gateway), _port(self._sockets.console)
        self._say(f"  public    {url_of(settings.host, gateway)}  ({workers} gateway{'s' if workers > 1 else ''})")
        self._say(f"  console   {url_of(settings.console_host, console)}  (operators; /metrics)")
        self._say(f"  token     {self._token_place()}")
        for line in checks:
            self._say(f"  {line}")

    def _token_place(self) -> str:
        if self._settings.admin_token is not None and self._data_dir.generated_token_is(
            self._settings.require_admin_token()
        ):
            return f"in {_shown(self._data_dir.admin_token_path)}"
        return "as CLAIMD_ADMIN_TOKEN says"

    async def _stop(self) -> None:
        # Without our copies a gateway's socket closes when the gateway closes it, and nobody queues in vain.
        self._sockets.close()
        began = time.monotonic()
        for name, seconds in _ENDED_AFTER_SECONDS.items():
            if name == "valkey" and self._embedded is not None:
                await self._embedded.note_the_end()
            await self._supervisor.stop(name, seconds=began + seconds - time.monotonic())

    def _note(self, name: str, pid: int) -> None:
        with suppress(OSError):
            self._record.put(name, pid=pid)


def _with_admin_token(settings: Settings, data_dir: DataDir) -> Settings:
    """The settings, with the generated admin token where they name none."""
    made = {} if settings.admin_token else {"admin_token": SecretStr(data_dir.admin_token())}
    return settings.model_copy(update={**made, "data_dir": data_dir.path})


def _port(listeners: list[socket.socket]) -> int:
    return int(listeners[0].getsockname()[1])


def _shown(path: Path) -> str:
    with suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
