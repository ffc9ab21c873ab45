"""`claimd dev token` and `claimd dev pass`: credentials for trying claimd out, under a running `claimd up`.

A token is signed with the development key of that `claimd up`; a pass is what its gateway gives for such a token.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from claimd.cli.arguments.moments import parse_duration_ms
from claimd.cli.arguments.options import AskDataDir, Json
from claimd.cli.arguments.text import as_utf8
from claimd.cli.arguments.token_claims import parse_token_claims
from claimd.cli.console_command import RoundId
from claimd.cli.gateway_client import request_pass
from claimd.cli.terminal.show import as_json_text, print_line
from claimd.contract.limits import MAX_SUBJECT_BYTES
from claimd.domain.times import to_rfc3339
from claimd.embedded.data_dir import home_of
from claimd.embedded.process_file import read_process_file
from claimd.errors import CommandError, WrongUsage
from claimd.settings import Settings
from claimd.supervisor.listeners import reachable, url_of
from claimd.up.development_key import RECORD_ENTRY, DevelopmentKey, SignedBy

_SET_BY_US = ("iss", "aud", "exp", "iat", "sub")
_MINUTE_SECONDS = 60


def register(app: typer.Typer) -> None:
    """Add the command, in a group of its own: what is under `claimd dev` is never used in production."""
    group = typer.Typer(no_args_is_help=True, help="Try claimd out on this machine, without an identity provider.")
    group.command("token", epilog="Example: [bold]TOKEN=$(claimd dev token --sub ada --claim district=west)[/]")(_token)
    group.command("pass", epilog="Example: [bold]PASS=$(claimd dev pass r5 --sub ada)[/]")(_pass)
    app.add_typer(group, name="dev")


_Sub = Annotated[str, typer.Option("--sub", metavar="PERSON", help="The person who claims, such as ada.")]
_Claim = Annotated[
    list[str] | None,
    typer.Option(
        "--claim",
        metavar="NAME=TEXT",
        help="One more claim of the token, such as district=west; NAME:=JSON for a number or a list. Repeatable.",
        show_default=False,
    ),
]


def _token(
    sub: _Sub,
    claim: _Claim = None,
    expires_in: Annotated[
        str, typer.Option("--expires-in", metavar="DURATION", help="How long it is valid: 90s, 15m, 8h, 2d.")
    ] = "1h",
    data_dir: AskDataDir = None,
    as_json: Json = False,
) -> None:
    """Print a bearer token for a person; the gateways of the `claimd up` on this data directory accept it.

    It works as long as that `claimd up` has no JWKS. Send it as `Authorization: Bearer TOKEN`.
    """
    lifetime_ms = parse_duration_ms(expires_in, "--expires-in")
    directory = Settings.read(data_dir=data_dir).data_dir
    record = _record_of_running(directory)
    expires_at = int(time.time()) + lifetime_ms // 1000
    token = _signed(directory, record, sub, claim, expires_at)
    if as_json:
        expires = to_rfc3339(expires_at * 1000)
        as_json_text({"token": token, "sub": _person(sub), "expires_at": expires, "gateway": _gateway_url(record)})
    else:
        print_line(token)


def _pass(
    round_id: RoundId, sub: _Sub, claim: _Claim = None, data_dir: AskDataDir = None, as_json: Json = False
) -> None:
    """Print a pass for a person and a round, from the gateway of the `claimd up` on this data directory.

    Send it as `Authorization: Pass PASS`. A gateway gives a pass only to a person who is eligible in the round.
    """
    directory = Settings.read(data_dir=data_dir).data_dir
    record = _record_of_running(directory)
    token = _signed(directory, record, sub, claim, int(time.time()) + _MINUTE_SECONDS)
    url = _gateway_url(record)
    if url is None:
        raise CommandError(f"the gateways of the `claimd up` on {directory.absolute()} are not ready yet: try again")
    issued = asyncio.run(request_pass(url, round_id, token))
    if as_json:
        as_json_text({**issued, "sub": _person(sub), "round": round_id, "gateway": url})
    else:
        print_line(issued["pass"])


def _signed(
    data_dir: Path, record: dict[str, dict[str, Any]], sub: str, claim: list[str] | None, expires_at: int
) -> str:
    """A development token for a person, valid until `expires_at`, in seconds since 1970. Raises CommandError."""
    person = _person(sub)
    identity = str(record[RECORD_ENTRY].get("identity", "sub"))
    more = parse_token_claims(claim or (), reserved={*_SET_BY_US, identity})
    claims = {"sub": person, identity: person, **more, "iat": int(time.time()), "exp": expires_at}
    return _key(data_dir).sign(claims)


def _person(sub: str) -> str:
    try:
        person = as_utf8(sub)
    except ValueError as error:
        raise WrongUsage(f"--sub {sub!r} {error}") from None
    if not 1 <= len(person.encode()) <= MAX_SUBJECT_BYTES:
        raise WrongUsage(f"--sub must have 1 to {MAX_SUBJECT_BYTES} bytes")
    return person


def _record_of_running(data_dir: Path) -> dict[str, dict[str, Any]]:
    """What the `claimd up` on this directory left in it. Raises CommandError unless it accepts development tokens."""
    place = data_dir.absolute()
    try:
        list(os.scandir(home_of(data_dir)))
    except FileNotFoundError:
        raise CommandError(f"there is no data directory {place}: {_START_ONE}") from None
    except OSError as error:
        raise CommandError(f"data directory {place} cannot be read: {error.strerror}") from None
    record = read_process_file(data_dir)
    if not _is_alive(record.get("supervisor", {}).get("pid")):
        raise CommandError(f"no `claimd up` runs on {place}: {_START_ONE}")
    match record.get(RECORD_ENTRY, {}).get("signed_by"):
        case SignedBy.DEVELOPMENT_KEY:
            return record
        case SignedBy.IDENTITY_PROVIDER:
            raise CommandError(
                f"tokens come from your identity provider: the `claimd up` on {place} was started with CLAIMD_JWKS, "
                "and accepts no others"
            )
        case _:
            raise CommandError(
                f"the `claimd up` on {place} accepts no development tokens: unless it is started with --dev-tokens, "
                "it needs a loopback --host and the embedded server"
            )


_START_ONE = "start one with `claimd up`, or name the directory of one that runs with --data-dir"


def _is_alive(pid: Any) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # It lives, as another user.
        return True
    return True


def _key(data_dir: Path) -> DevelopmentKey:
    home = home_of(data_dir)
    try:
        key = DevelopmentKey.read(home)
    except OSError as error:
        raise CommandError(f"the development key in {home.absolute()} cannot be read: {error.strerror}") from None
    if key is None:
        raise CommandError(
            f"the development key in {home.absolute()} is gone: a restart of `claimd up` makes a new one"
        )
    return key


def _gateway_url(record: dict[str, dict[str, Any]]) -> str | None:
    """The public address; None while the gateways are still being started."""
    gateway = record.get("gateway", {})
    return url_of(reachable(gateway["host"]), gateway["port"]) if "port" in gateway else None
