"""The command `claimd`: puts the commands together, and turns what fails into one line and an exit code.

0: done. 1: it could not be done, or an audit found something. 2: the command line or a setting is wrong.
130: Ctrl-C. 141: the reader of the output has left.
"""

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer import Context
from typer.core import TyperGroup
from typer.exceptions import TyperException

from claimd import __version__
from claimd.cli.terminal.printable import printable
from claimd.cli.terminal.streams import OutputError, discard_output, standard_streams
from claimd.errors import CommandError, StartError
from claimd.settings import SettingsError


class _Commands(TyperGroup):
    """Errors that are meant for a person, as one line on stderr; anything else is a bug and keeps its traceback."""

    def main(self, *arguments: Any, **named: Any) -> Any:
        """Run the command line: parsing, help and usage errors included."""
        try:
            with standard_streams():
                return super().main(*arguments, **named)
        except OutputError as error:
            discard_output()
            if not error.reader_left:
                typer.echo(f"claimd: {error}", err=True)
            sys.exit(error.exit_code)

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        """Read the command line up to the command."""
        try:
            return super().make_context(*arguments, **named)
        except TyperException as error:
            code, sentence = _usage(error)
        typer.echo(f"claimd: {printable(sentence)}", err=True)
        raise typer.Exit(code)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Output that waits for a reader would be written at exit, and wait again.
            discard_output()
            raise
        except SettingsError as error:
            code, sentence = 2, str(error)
        except CommandError as error:
            code, sentence = error.exit_code, str(error)
        except StartError as error:
            code, sentence = 1, str(error)
        except TyperException as error:
            code, sentence = _usage(error)
        typer.echo(f"claimd: {printable(sentence)}", err=True)
        raise typer.Exit(code)


def _usage(error: TyperException) -> tuple[int, str]:
    """Exit code and sentence for a command line that typer does not take."""
    sentence = error.format_message()
    context = getattr(error, "ctx", None)
    if not sentence or context is None:
        # A command line without words has printed its help, which needs no message.
        raise error
    return error.exit_code, f"{sentence.rstrip('.')} ({context.command_path} --help)"


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Decides the claims of a public drop: exactly, durably, fast, and provably.",
    epilog="Start with [bold]claimd up[/], then [bold]claimd round create --help[/]. "
    "Settings: a flag over its CLAIMD_… variable over the default. "
    "Exit codes: 0 done; 1 it failed, or an audit did not pass; 2 the command line or a setting is wrong; 130 Ctrl-C; "
    "141 the reader of the output has left.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"claimd {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _ctx: Context,
    _wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


# In the order of --help.
_MODULES = {
    "up": "up",
    "gateway": "roles",
    "console": "roles",
    "round": "rounds",
    "claim": "claims",
    "audit": "audit",
    "export": "export",
    "watch": "watch",
    "doctor": "doctor",
    "dev": "dev",
}


def _modules(words: list[str]) -> list[str]:
    """The module of the command that the first word names, else all modules; none for the version.

    Importing all of them would make each start of a child a third slower.
    """
    if words == ["--version"]:
        return []
    asked = _MODULES.get(words[0]) if words else None
    return [asked] if asked else list(dict.fromkeys(_MODULES.values()))


for _module in _modules(sys.argv[1:]):
    import_module(f"claimd.cli.commands.{_module}").register(app)
