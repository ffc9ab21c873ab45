"""The console's address and the admin token: from flags, the environment, or the files of a running `claimd up`."""

from dataclasses import dataclass
from pathlib import Path

from claimd.embedded.data_dir import read_admin_token
from claimd.embedded.process_file import read_process_file
from claimd.errors import CommandError, WrongUsage
from claimd.settings import Settings
from claimd.supervisor.listeners import reachable, url_of


@dataclass(frozen=True, slots=True)
class ConsoleAddress:
    """`url` without a slash at its end; `token` may be empty for `/metrics` alone."""

    url: str
    token: str

    @classmethod
    def find(
        cls,
        url: str | None,
        data_dir: Path | None,
        console_host: str | None,
        console_port: int | None,
        admin_token: str | None,
        admin_token_file: Path | None = None,
    ) -> "ConsoleAddress":
        """From flags, else the environment, else the data directory. Raises SettingsError, CommandError."""
        settings = Settings.read(
            data_dir=data_dir,
            console_host=console_host,
            console_port=console_port,
            admin_token=admin_token,
            admin_token_file=admin_token_file,
        )
        token = settings.admin_token.get_secret_value() if settings.admin_token else read_admin_token(settings.data_dir)
        if token is None:
            raise CommandError(
                f"no admin token: set CLAIMD_ADMIN_TOKEN, or name the directory of `claimd up` with --data-dir "
                f"({settings.data_dir.absolute()} holds none)"
            )
        if not (token.isascii() and token.isprintable()):
            raise WrongUsage("the admin token has characters that no header can carry: visible ASCII alone")
        return cls((url or _url(settings)).rstrip("/"), token)


def _url(settings: Settings) -> str:
    if not settings.model_fields_set & {"console_host", "console_port"}:
        running = read_process_file(settings.data_dir).get("console", {})
        if "port" in running:
            return url_of(reachable(running["host"]), running["port"])
    return url_of(reachable(settings.console_host), settings.console_port)
