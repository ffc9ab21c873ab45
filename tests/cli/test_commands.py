"""The commands against a running claimd, as a person and as a program use them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from claimd.cli.app import app
from claimd.domain.times import from_rfc3339
from tests.servers import Server
from tests.up.running import Up, clean_environment

# One worker, or each would start a claimd of its own.
pytestmark = pytest.mark.xdist_group("cli")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Shared by this file; every test has rounds of its own."""
    with Up(tmp_path_factory.mktemp("cli") / "data") as up:
        yield up.until_ready()
        up.stop()


class Claimd:
    """Runs commands in this process; the address and the token are found through the data directory alone."""

    def __init__(self, up: Up) -> None:
        self._data_dir = ["--data-dir", str(up.data_dir)]

    def __call__(self, *arguments: str, exit_code: int = 0, answer: str | None = None) -> str:
        result = CliRunner().invoke(app, [*arguments, *self._data_dir], input=answer, catch_exceptions=False)
        assert result.exit_code == exit_code, result.output
        return result.stdout if exit_code == 0 else result.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def claimd(up: Up, monkeypatch: pytest.MonkeyPatch) -> Claimd:
    """Without any setting in the environment."""
    for name in ("DATA_DIR", "CONSOLE_HOST", "CONSOLE_PORT", "ADMIN_TOKEN"):
        monkeypatch.delenv(f"CLAIMD_{name}", raising=False)
    return Claimd(up)


def create(claimd: Claimd, round_id: str, *flags: str, total: int = 10) -> Any:
    return claimd.json("round", "create", round_id, "--title", "T", "--total", str(total), "--opens-at", "now", *flags)


def test_a_round_is_created_shown_and_listed(claimd: Claimd) -> None:
    """For a program as the console's JSON, for a person in words."""
    created = create(claimd, "made", "--closes-at", "+2h", "--pack", '{"vouchers": 5}')
    assert created["status"] == "open"
    assert created["pack"] == {"vouchers": 5}
    length_ms = from_rfc3339(created["closes_at"]) - from_rfc3339(created["opens_at"])
    assert length_ms == 2 * 3_600_000
    assert claimd.json("round", "show", "made")["id"] == "made"
    assert "made" in [state["id"] for state in claimd.json("round", "list")["rounds"]]
    assert "remaining\t10\n" in claimd("round", "show", "made")
    assert "made" in claimd("round", "list")


def test_a_round_is_edited_paused_resumed_and_closed(claimd: Claimd) -> None:
    """Each answers with the round as it is now."""
    create(claimd, "changing")
    edited = claimd.json("round", "edit", "changing", "--total", "20", "--opens-at", "+1h", "--reason", "more")
    assert (edited["total"], edited["status"]) == (20, "scheduled")
    claimd("round", "edit", "changing", "--opens-at", "now", "--reason", "at once")
    assert claimd.json("round", "pause", "changing", "--reason", "wait")["status"] == "paused"
    assert claimd.json("round", "resume", "changing", "--reason", "go")["status"] == "open"
    assert claimd.json("round", "close", "changing", "--reason", "done", "--yes")["status"] == "closed"


def test_rounds_that_are_over_are_listed_when_asked_for(claimd: Claimd) -> None:
    """By default what is not over; `--status` for one status, `--all` for everything, from all pages."""
    for number in range(102):
        create(claimd, f"page-{number}")
    create(claimd, "called-off")
    claimd("round", "close", "called-off", "--reason", "called off", "--yes")

    def ids(*flags: str) -> set[str]:
        return {state["id"] for state in claimd.json("round", "list", *flags)["rounds"]}

    pages = {f"page-{number}" for number in range(102)}
    assert pages <= ids()
    assert "called-off" not in ids()
    assert "called-off" in ids("--status", "closed")
    assert not ids("--status", "closed") & pages
    assert ids("--all") >= pages | {"called-off"}
    assert "exclude each other" in claimd("round", "list", "--all", "--status", "open", exit_code=2)


def test_closing_asks_first(claimd: Claimd) -> None:
    """There is no way back, so no is the default."""
    create(claimd, "kept")
    assert "Close kept (open, 10 left) for good?" in claimd(
        "round", "close", "kept", "--reason", "slip", answer="\n", exit_code=1
    )
    assert claimd.json("round", "show", "kept")["status"] == "open"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (["round", "show", "nobody"], 1, "There is no such round (round_not_found)"),
        (["round", "show", "No/Way"], 2, "'No/Way' is not a round's id"),
        (
            ["round", "create", "x", "--title", "T", "--total", "1", "--opens-at", "soon"],
            2,
            "--opens-at 'soon' must be",
        ),
        (
            ["round", "create", "x", "--title", "T", "--total", "1", "--opens-at", "+9999999d"],
            2,
            "--opens-at '+9999999d' is later than the year 9999",
        ),
        (
            ["round", "create", "x", "--title", "T", "--total", "1", "--opens-at", "9999-12-31T12:00:00Z"],
            2,
            "--closes-at, 24 h after the opening, is later than the year 9999",
        ),
        (["round", "frobnicate"], 2, "No such command 'frobnicate' ("),
        (["watch", "x", "--interval", "nan"], 2, "Invalid value for '--interval'"),
        (["round", "edit", "x", "--reason", "y"], 2, "nothing to change"),
        (["round", "edit", "x", "--reason", "y", "--pack", "[]"], 2, "--pack: must be a JSON object"),
        (["audit", "nobody"], 1, "There is no such round"),
        (["export", "nobody"], 1, "There is no such round"),
        (["watch", "nobody"], 1, "There is no such round"),
        (["round", "list", "--admin-token", "wrong"], 1, "does not know this admin token"),
        (["round", "list", "--url", "http://127.0.0.1:1"], 1, "(Connection refused): start one with `claimd up`"),
        (["round", "list", "--url", "nonsense"], 2, "is not an address of a console"),
        (["round", "list", "--admin-token", "a\nb"], 2, "characters that no header can carry"),
    ],
)
def test_what_fails_is_one_line(claimd: Claimd, arguments: list[str], exit_code: int, sentence: str) -> None:
    """On stderr, with what to do about it."""
    said = claimd(*arguments, exit_code=exit_code)
    assert said.startswith("claimd: ")
    assert sentence in said
    assert said.count("\n") == 1


def test_the_gateways_port_is_no_console(claimd: Claimd, up: Up) -> None:
    """The error names it as such, rather than as an address where nothing listens."""
    address = up.process_file()["gateway"]
    said = claimd("round", "list", "--url", f"http://{address['host']}:{address['port']}", exit_code=1)
    assert "is no console: another part of claimd answers there, perhaps the public gateway" in said


def test_a_reason_in_any_script_fits_by_characters(claimd: Claimd) -> None:
    """Characters, not the bytes that their escapes take."""
    create(claimd, "explained")
    assert claimd.json("round", "pause", "explained", "--reason", "因" * 1000)["status"] == "paused"


def test_audit_and_export_prove_what_was_granted(claimd: Claimd, up: Up, tmp_path: Path) -> None:
    """The audit's verdict is its exit code; the export has each serial once, on stdout or in a file that is whole."""
    create(claimd, "proven", total=5)
    for person in "abcdefg":
        assert up.claim("proven", person)[0] == (201 if person <= "e" else 409)
    assert claimd("audit", "proven").startswith("PASS\tproven\t")
    assert claimd.json("audit", "proven")["claims"] == 5
    lines = claimd("export", "proven", "--json")
    assert [json.loads(line)["serial"] for line in lines.splitlines()] == [1, 2, 3, 4, 5]
    claimd("export", "proven", "--output", str(tmp_path / "claims.ndjson"))
    assert (tmp_path / "claims.ndjson").read_text() == lines
    assert [entry.name for entry in tmp_path.iterdir()] == ["claims.ndjson"]


def test_watch_prints_how_a_round_runs_down(claimd: Claimd, up: Up) -> None:
    """A line a look, until Ctrl-C, which is no error to complain of."""
    create(claimd, "watched", total=2)
    command = [sys.executable, "-m", "claimd", "watch", "watched", "--json", "--interval", "0.1"]
    with subprocess.Popen(
        [*command, "--data-dir", str(up.data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert json.loads(watching.stdout.readline())["remaining"] == 2
        for person in "ab":
            assert up.claim("watched", person)[0] == 201
        for line in watching.stdout:
            look = json.loads(line)
            if look["status"] == "sold_out" and look["outcomes"].get("granted") == 2:
                break
        assert look["sold_out_at"] is not None
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 130
        assert watching.stderr.read() == ""


def test_the_doctor_looks_at_the_server_of_the_data_directory(claimd: Claimd, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a person a line a check, for a program all of it; the embedded server keeps every promise."""
    monkeypatch.delenv("CLAIMD_REDIS_URL", raising=False)
    printed = claimd("doctor")
    assert printed.endswith("claimd keeps every promise on this server\n")
    document = claimd.json("doctor")
    assert document["level"] == "ok"
    assert document["server"].startswith("unix://")
    assert {item["level"] for item in document["checks"]} == {"ok"}
    assert len(document["checks"]) == printed.count("\n") - 1


def test_the_doctors_verdict_is_its_exit_code(valkey: Server) -> None:
    """0 with warnings, 1 where claimd would refuse the server or it is away; every finding is printed."""
    with valkey.client() as client:
        for setting, code, words in (
            (("appendfsync", "everysec"), 0, "warning  durable"),
            (("maxmemory", "1"), 1, "refusal  claims"),
        ):
            before = client.config_get(setting[0])[setting[0]]
            client.config_set(*setting)
            result = CliRunner().invoke(app, ["doctor", "--redis-url", valkey.url])
            client.config_set(setting[0], before)
            assert (result.exit_code, words in result.stdout) == (code, True), result.output
    away = CliRunner().invoke(app, ["doctor", "--json", "--redis-url", "unix:///nonexistent/socket"])
    assert away.exit_code == 1
    assert json.loads(away.stdout)["level"] == "refusal"


def test_the_doctor_without_a_server_names_the_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address and without a claimd that runs there is nothing to look at."""
    monkeypatch.delenv("CLAIMD_REDIS_URL", raising=False)
    result = CliRunner().invoke(app, ["doctor", "--data-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "name one with --redis-url or CLAIMD_REDIS_URL" in result.stderr
