"""The command line without a console: help, versions, times, rates, and exports that broke off."""

import io
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console as Terminal
from typer.testing import CliRunner

from claimd import __version__
from claimd.cli.app import app
from claimd.cli.arguments.documents import read_document
from claimd.cli.arguments.moments import parse_moment
from claimd.cli.commands.watch import picture
from claimd.cli.round_watcher import Rate, RoundSample
from claimd.errors import WrongUsage

ROUND_COMMANDS = [["round", verb] for verb in ("create", "list", "show", "edit", "pause", "resume", "close")]
DATA_COMMANDS = [*ROUND_COMMANDS, ["audit"], ["export"], ["watch"], ["doctor"]]
COMMANDS = [*DATA_COMMANDS, ["up"], ["gateway"], ["console"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_helps_with_an_example(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And those that print data can print JSON."""
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert f"claimd {' '.join(command)}" in result.stdout.partition("Example:")[2]
    assert ("--json" in result.stdout) == (command in DATA_COMMANDS)
    assert "--listen-fd" not in result.stdout


def test_version() -> None:
    """One line, for scripts."""
    assert CliRunner().invoke(app, ["--version"]).stdout == f"claimd {__version__}\n"


@pytest.mark.parametrize(("command", "variable"), [("gateway", "CLAIMD_REDIS_URL"), ("console", "CLAIMD_REDIS_URL")])
def test_a_role_names_the_setting_it_lacks(command: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a line, with exit code 2."""
    monkeypatch.delenv(variable, raising=False)
    result = CliRunner().invoke(app, [command])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"claimd: {variable} is not set")


def test_a_setting_that_cannot_be_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment as from a flag."""
    monkeypatch.setenv("CLAIMD_PORT", "70000")
    result = CliRunner().invoke(app, ["up"])
    assert result.exit_code == 2
    assert result.stderr.startswith("claimd: CLAIMD_PORT: ")


def test_the_embedded_server_has_no_replica(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To wait for one would be to wait for ever."""
    monkeypatch.delenv("CLAIMD_REDIS_URL", raising=False)
    result = CliRunner().invoke(app, ["up", "--durability", "replica", "--data-dir", str(tmp_path / "data")])
    assert result.exit_code == 2
    assert result.stderr.startswith("claimd: CLAIMD_DURABILITY: the embedded server has no replica")


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("now", 1_000_000),
        ("+30s", 1_030_000),
        ("+5m", 1_300_000),
        ("+2h", 8_200_000),
        ("+1d", 87_400_000),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_moments(text: str, expected_ms: int) -> None:
    """Counted from the clock that is given."""
    assert parse_moment(text, 1_000_000, "--opens-at") == expected_ms


@pytest.mark.parametrize("text", ["", "tomorrow", "+5", "5m", "+5w", "+-5m", "2026-01-01", "+٣m"])
def test_what_is_no_moment(text: str) -> None:
    """Names the flag."""
    with pytest.raises(WrongUsage, match="--opens-at"):
        parse_moment(text, 0, "--opens-at")


@pytest.mark.parametrize(
    ("text", "lack"),
    [
        ("2026-04-20T20:00:00", "has no offset: add Z or one such as +08:00"),
        ("2026-04-20 20:00", "has no offset"),
        ("2026-04-20T20:00:00.5", "has no offset"),
        ("2026-04-20", "has no time and no offset: add both"),
        ("2026-04-20T20:00Z", "has no seconds"),
        ("2026-04-20 20:00:00+08:00", "has a space: T belongs there"),
        (
            "20 April",
            "must be an RFC 3339 time with at most milliseconds, such as 2026-04-20T12:00:00.000Z; or now, +30s",
        ),
        ("2026-02-30T20:00:00Z", "is not a time of the calendar"),
    ],
)
def test_what_a_time_lacks_is_named(text: str, lack: str) -> None:
    """No offset is assumed."""
    with pytest.raises(WrongUsage, match=f"^--opens-at {re.escape(repr(text))} {re.escape(lack)}"):
        parse_moment(text, 0, "--opens-at")


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b'{"city": ["a"], "city": ["b"]}', "the name 'city' is there twice in one object"),
        (b'{"a": {"b": 1, "b": 2}}', "the name 'b' is there twice"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": 1e999}', "1e999 is too large a number"),
        (b'{"a": 18446744073709551616}', "Integer exceeds 64-bit range"),
        (b'{"a":' * 2000 + b"1" + b"}" * 2000, "nested too deeply"),
        (b"[]", "must be a JSON object"),
        (b"{", "Expecting property name"),
        (b"\x7fELF\xd0", "is not UTF-8 text"),
        (b" " * 65_536 + b"{}", "is too large: more than 65,536 bytes"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_document_that_cannot_be_is_named(content: bytes | None, wrong: str, tmp_path: Path) -> None:
    """In a file as on the command line; the flag is named."""
    file = tmp_path / "document"
    if content is not None:
        file.write_bytes(content)
    for text in (f"@{file}", *([content.decode()] if content and content.isascii() and len(content) < 9999 else [])):
        with pytest.raises(WrongUsage, match=f"^--eligibility: .*{re.escape(wrong)}"):
            read_document("--eligibility", text)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_live_picture_cuts_no_number(width: int) -> None:
    """Long ones are folded where the terminal is narrower."""
    state = STATE | {"id": "a" * 64, "total": 2**31, "remaining": 2**31 - 1_234_567, "issued": 1_234_567}
    sample = RoundSample(
        state, 1000, 50.0, {"granted": 1_234_567, "round_not_found": 98_765_432}, {"granted": 50.0}, 15.0, None
    )
    terminal = Terminal(width=width, file=io.StringIO())
    terminal.print(picture(sample))
    text = terminal.file.getvalue()  # type: ignore[attr-defined]
    joined = "".join(line.rstrip() for line in text.splitlines())
    for whole in ("a" * 64, "1,234,567", "98,765,432", "2,146,249,081"):
        assert whole in joined, text


@pytest.mark.parametrize("answer", [{}, [], {"rounds": [{}]}, {"rounds": {}, "server_time": "x"}, "text", None])
def test_an_answer_of_another_program_is_reported_as_such(answer: Any) -> None:
    """In a line, whatever is missing."""
    body = json.dumps(answer).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    for arguments in (["round", "list"], ["round", "show", "r"], ["audit", "r"]):
        with _answering(head + body) as url:
            result = CliRunner().invoke(app, [*arguments, "--url", url, "--admin-token", "t"], catch_exceptions=False)
        assert result.exit_code == 1
        assert result.stderr == f"claimd: {url} does not answer like a claimd console\n"


def test_pace_is_of_the_last_seconds() -> None:
    """Old readings do not count, a clock that stands still neither."""
    rate = Rate()
    assert rate.per_second() == 0
    rate.add(0, 0)
    rate.add(1_000, 500)
    rate.add(1_000, 900)
    assert rate.per_second() == 500
    for at_ms in range(2_000, 12_000, 1_000):
        rate.add(at_ms, 500)
    assert rate.per_second() == 0


STATE = {"id": "r", "title": "A [round]", "status": "open", "total": 1000, "issued": 250, "remaining": 750}


@pytest.mark.parametrize(
    ("changed", "sold_out_at_ms", "outlook"),
    [
        ({}, None, "50 grants a second, sold out in about 15 s"),
        ({"remaining": 0, "status": "sold_out"}, 0, "sold out at 1970-01-01T00:00:00.000Z"),
        ({"status": "scheduled", "opens_at": "1970-01-01T02:00:03Z"}, None, "opens in 2:00:02"),
        ({"status": "paused"}, None, "paused"),
    ],
)
def test_the_live_picture_shows_when_it_will_be_gone(
    changed: dict[str, Any], sold_out_at_ms: int | None, outlook: str
) -> None:
    """On a line of its own, under the bar; a title is never taken for markup."""
    sample = RoundSample(STATE | changed, 1000, 50.0, {"granted": 250}, {"granted": 50.0}, 15.0, sold_out_at_ms)
    terminal = Terminal(width=80, file=io.StringIO())
    terminal.print(picture(sample, "no console"))
    lines = terminal.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "A [round]" in lines[0]
    assert lines[3].strip() == outlook
    assert lines[-1].strip() == "not fresh: no console"


@contextmanager
def _answering(*answers: bytes) -> Iterator[str]:
    """The address of a server that sends these, one to each request of one connection."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            for answer in answers:
                connection.recv(4096)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(5)


@pytest.fixture
def broken_console() -> Iterator[str]:
    """A console whose export ends in the middle of a chunk."""
    fields = {"id": "r", "title": "T", "status": "open", "opens_at": "", "closes_at": "", "server_time": ""}
    state = json.dumps(fields | {"total": 100, "issued": 100, "remaining": 0}).encode()
    with _answering(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(state), state),
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n{"serial":1}\n\r\n50\r\n{"serial":',
    ) as url:
        yield url


def test_a_half_export_is_never_taken_for_a_whole_one(broken_console: str, tmp_path: Path) -> None:
    """No file, exit code 1, and a sentence."""
    output = tmp_path / "claims.ndjson"
    output.write_text("yesterday's\n")
    result = CliRunner().invoke(
        app, ["export", "r", "--url", broken_console, "--admin-token", "t", "--output", str(output)]
    )
    assert result.exit_code == 1
    assert result.stderr == "claimd: the answer broke off half-way: what came is not the whole\n"
    assert output.read_text() == "yesterday's\n"
    assert [entry.name for entry in tmp_path.iterdir()] == [output.name]
