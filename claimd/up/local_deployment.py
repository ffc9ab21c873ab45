"""All processes of a `claimd up`: started in order, watched, and stopped in order.

The server comes first, then gateways and console. At a stop the gateways go first and the server last, so that claims
in flight are decided and acknowledged.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from claimd.doctor.examine import examine
from claimd.doctor.findings import report_findings
from claimd.doctor.tokens import check_tokens
from claimd.embedded.data_dir import DataDir, usable
from claimd.embedded.process_file import ProcessFile
from claimd.embedded.valkey import EmbeddedValkey
from claimd.installation_settings import known_installation
from claimd.settings import Settings
from claimd.store.redis.client import connect
from claimd.supervisor.child_environment import without_settings
from claimd.supervisor.listeners import url_of
from claimd.supervisor.role_specs import console_spec, gateway_specs
from claimd.supervisor.supervisor import Supervisor
from claimd.up.secret import prepare_secret, with_agreed_secret
from claimd.up.sockets import Sockets, port_of
from claimd.up.until_stopped import STOPPED_AFTER_SECONDS, run_until_stopped


class LocalDeployment:
    """The processes of one data directory. The caller holds its lock and has bound the sockets."""

    def __init__(
        self,
        settings: Settings,
        data_dir: DataDir,
        sockets: Sockets,
        process_file: ProcessFile,
        print_line: Callable[[str], None],
        *,
        accept_lost_claims: bool,
    ) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._sockets = sockets
        self._process_file = process_file
        self._print_line = print_line
        # None where the settings name an external server.
        self._valkey = (
            None
            if settings.redis_url
            else EmbeddedValkey(data_dir.path, print_line, accept_lost_claims=accept_lost_claims)
        )
        self._supervisor = Supervisor(print_line, self._record_pid)

    async def run(self) -> None:
        """Start everything, wait for a signal, stop everything. Raises StartError or SettingsError."""
        try:
            await run_until_stopped(self._start, self._stop, self._supervisor, self._print_line)
        finally:
            if self._valkey is not None:
                self._valkey.remove_socket_directory()

    async def _start(self) -> None:
        with usable(self._data_dir.path):
            await self._start_everything()

    async def _start_everything(self) -> None:
        token_lines: list[str] = []
        report_findings(await check_tokens(self._settings), token_lines.append)
        if self._valkey is None:
            server_lines = await self._examine_external_server()
        else:
            prepare_secret(self._settings, self._data_dir, has_data=self._valkey.has_data)
            server_lines = await self._start_valkey(self._valkey)
        self._settings = await with_agreed_secret(self._settings, self._data_dir)
        self._introduce([*server_lines, *token_lines])
        await self._supervisor.start(
            [
                *gateway_specs(self._sockets.gateway, self._settings),
                console_spec(self._sockets.console[0], self._settings, embedded=self._valkey is not None),
            ]
        )
        # Only now: readers take an address in this file for one that answers.
        self._process_file.put("gateway", host=self._settings.host, port=port_of(self._sockets.gateway))
        self._process_file.put("console", host=self._settings.console_host, port=port_of(self._sockets.console))
        self._print_line("ready")

    async def _examine_external_server(self) -> list[str]:
        """Check the server that the settings name. Returns lines on it; raises StartError if it cannot be used."""
        installation = known_installation(self._settings, self._data_dir.kept_secret())
        report = await examine(
            self._settings.require_redis_url(),
            self._settings.durability,
            installation=installation,
            compares_secret=installation is not None,
        )
        report.raise_for_blockers(wait=False)
        lines: list[str] = []
        report_findings(report.findings, lines.append)
        return lines

    async def _start_valkey(self, valkey: EmbeddedValkey) -> list[str]:
        """Start the embedded Valkey and set its address. Returns lines on it; raises StartError."""
        await valkey.prepare()
        self._settings = self._settings.model_copy(update={"redis_url": valkey.url})
        await self._supervisor.start([valkey.spec(without_settings(os.environ))])
        await valkey.start_recording_synced_size()
        self._process_file.put("valkey", url=valkey.url)
        async with connect(valkey.url) as server:
            info = await server.info("server")
        return [
            f"server    embedded Valkey {info['valkey_version']}, files in {_relative(self._data_dir.path)}",
            "durable   every grant is on disk before it is acknowledged (appendfsync always)",
        ]

    def _introduce(self, checks: Sequence[str]) -> None:
        """Print the addresses, the place of the admin token, and what the checks found."""
        settings, workers = self._settings, self._settings.workers
        gateway, console = port_of(self._sockets.gateway), port_of(self._sockets.console)
        gateways = f"{workers} gateway{'s' if workers > 1 else ''}"
        self._print_line(f"  public    {url_of(settings.host, gateway)}  ({gateways})")
        self._print_line(f"  console   {url_of(settings.console_host, console)}  (operators; /metrics)")
        self._print_line(f"  token     {self._place_of_token()}")
        for line in checks:
            self._print_line(f"  {line}")

    def _place_of_token(self) -> str:
        """Where an operator finds the admin token; never the token itself."""
        if self._settings.admin_token is not None and self._data_dir.generated_token_is(
            self._settings.require_admin_token()
        ):
            return f"in {_relative(self._data_dir.admin_token_path)}"
        return "as set by CLAIMD_ADMIN_TOKEN"

    async def _stop(self) -> None:
        # Without this process's copies, the kernel rejects new connections as soon as a gateway closes its socket.
        self._sockets.close()
        began = time.monotonic()
        for name, seconds in STOPPED_AFTER_SECONDS.items():
            if name == "valkey" and self._valkey is not None:
                await self._valkey.record_final_synced_size()
            await self._supervisor.stop(name, seconds=began + seconds - time.monotonic())

    def _record_pid(self, name: str, pid: int) -> None:
        # The file is information only: a disk that is full must not end a deployment.
        with suppress(OSError):
            self._process_file.put(name, pid=pid)


def _relative(path: Path) -> str:
    """The path as seen from the current directory if it is below that, else as it is."""
    with suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
