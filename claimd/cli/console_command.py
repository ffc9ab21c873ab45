"""What all commands that ask the console share: the flags for its address and token, and an event loop."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

from claimd.cli.address import ConsoleAddress
from claimd.cli.arguments import options
from claimd.cli.console_client import ConsoleClient

_Url = Annotated[
    str | None,
    typer.Option(
        "--url", help="The console's address, such as http://host:8081; over host and port.", rich_help_panel="Settings"
    ),
]


def _address(
    url: _Url = None,
    data_dir: options.AskDataDir = None,
    console_host: options.AskConsoleHost = None,
    console_port: options.AskConsolePort = None,
    admin_token: options.AskAdminToken = None,
    admin_token_file: options.AdminTokenFile = None,
) -> ConsoleAddress:
    return ConsoleAddress.find(url, data_dir, console_host, console_port, admin_token, admin_token_file)


def console_command(command: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A command whose first parameter is an open ConsoleClient, with the flags of `_address` after its own.

    typer reads flags from signatures, so the signatures are joined. A context of typer's would take these flags only
    before the command's name, where users do not look for them.
    """
    own, shared = inspect.signature(command), inspect.signature(_address)

    @functools.wraps(command)
    def run(**given: Any) -> None:
        address = _address(**{name: given.pop(name) for name in shared.parameters})

        async def talk() -> None:
            async with ConsoleClient(address) as console:
                await command(console, **given)

        with asyncio.Runner() as runner:
            # Not `runner.run`: there the first Ctrl-C only cancels the task, and does not end a read of a terminal or a
            # write to a full pipe.
            runner.get_loop().run_until_complete(talk())

    parameters = [*list(own.parameters.values())[1:], *shared.parameters.values()]
    joined = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    run.__signature__ = inspect.Signature(joined)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in joined}
    del run.__wrapped__
    return run


RoundId = Annotated[
    str, typer.Argument(metavar="ROUND", help="The round's id: small letters, digits and '-', at most 64.")
]
