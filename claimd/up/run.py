"""`claimd up`: everything on one machine. This is the outer frame: the data directory, the sockets, the first lines.

It decides no claims itself. However it ends, no child is left alive, and the last line gives the reason.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack

from pydantic import SecretStr

from claimd import __version__
from claimd.doctor.findings import report_findings
from claimd.doctor.variables import check_variables
from claimd.embedded.data_dir import DataDir, usable
from claimd.embedded.process_file import ProcessFile, read_process_file
from claimd.settings import Settings, SettingsError
from claimd.store.durability import Durability
from claimd.supervisor.open_files import few_files_warning, raise_open_files
from claimd.up.development_key import accept_development_tokens
from claimd.up.local_deployment import LocalDeployment
from claimd.up.sockets import Sockets

# The kernel kills the children of a killed supervisor within milliseconds; until then they may hold the ports.
_GRACE_SECONDS = 3.0


async def up(
    settings: Settings,
    print_line: Callable[[str], None],
    *,
    accept_lost_claims: bool = False,
    dev_tokens: bool | None = None,
) -> None:
    """Run until SIGTERM or SIGINT.

    Raises SettingsError, or StartError once everything is stopped again, where it cannot start.
    """
    few_files = few_files_warning(raise_open_files())
    if settings.redis_url is None and settings.durability is Durability.REPLICA:
        raise SettingsError("CLAIMD_DURABILITY: the embedded server has no replica; name a server with --redis-url")
    with ExitStack() as stack:
        data_dir = stack.enter_context(DataDir.open(settings.data_dir))
        # A process file is left behind only by a supervisor that was killed.
        grace_seconds = _GRACE_SECONDS if read_process_file(data_dir.path) else 0.0
        process_file = ProcessFile(data_dir.path)
        with usable(data_dir.path):
            process_file.put("supervisor", pid=os.getpid())
        stack.callback(process_file.remove)
        print_line(f"claimd {__version__}")
        if data_dir.is_new:
            print_line(f"  new       {data_dir.path}: a data directory that starts empty (--data-dir names another)")
        report_findings(check_variables(), lambda line: print_line(f"  {line}"))
        if few_files:
            print_line(few_files)
        sockets = stack.enter_context(Sockets())
        await sockets.open(settings, grace_seconds)
        with usable(data_dir.path):
            settings = _with_admin_token(settings, data_dir)
            settings = await accept_development_tokens(settings, data_dir, process_file, print_line, wanted=dev_tokens)
        deployment = LocalDeployment(
            settings, data_dir, sockets, process_file, print_line, accept_lost_claims=accept_lost_claims
        )
        await deployment.run()
        print_line("stopped")


def _with_admin_token(settings: Settings, data_dir: DataDir) -> Settings:
    """The settings with the opened data directory and, where they have no admin token, the one generated there."""
    generated = {} if settings.admin_token else {"admin_token": SecretStr(data_dir.admin_token())}
    return settings.model_copy(update={**generated, "data_dir": data_dir.path})
