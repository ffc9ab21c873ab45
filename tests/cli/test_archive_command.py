"""`claimd round archive` on a running claimd, and what is left of the round when that is killed and started again."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from claimd.cli.app import app
from tests.up.running import Up, eventually

# One worker, or each would start a claimd of its own.
pytestmark = pytest.mark.xdist_group("cli")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Shared by this file; every test has rounds of its own."""
    with Up(tmp_path_factory.mktemp("archive") / "data") as up:
        yield up.until_ready()
        up.stop()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA_DIR", "CONSOLE_HOST", "CONSOLE_PORT", "ADMIN_TOKEN"):
        monkeypatch.delenv(f"CLAIMD_{name}", raising=False)


def claimd(*arguments: str, exit_code: int = 0, answer: str | None = None) -> str:
    result = CliRunner().invoke(app, list(arguments), input=answer, catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.stdout if exit_code == 0 else result.stderr


def closed_round(up: Up, round_id: str, people: str) -> None:
    up.create_round(round_id, total=10)
    for person in people:
        assert up.claim(round_id, person)[0] == 201
    assert up.console("POST", f"/admin/v1/rounds/{round_id}/close", {"reason": "over"})[0] == 200


def contents(folder: Path) -> list[bytes]:
    found = []
    for path in folder.glob("*.aof"):
        with suppress(FileNotFoundError):
            found.append(path.read_bytes())
    return found


def archived(up: Up, round_id: str) -> Any:
    flags = ("--reason", "over", "--yes", "--json", "--data-dir", str(up.data_dir))
    return json.loads(claimd("round", "archive", round_id, *flags))


def test_it_asks_first_and_prints_where_the_claims_are(up: Up) -> None:
    """No is the default; then the file, its digest and the number of claims, and again the same."""
    closed_round(up, "asked", "abc")
    flags = ("--reason", "over", "--data-dir", str(up.data_dir))
    assert "nothing was changed" in claimd("round", "archive", "asked", *flags, answer="\n", exit_code=1)
    assert up.console("GET", "/admin/v1/rounds/asked")[0] == 200
    told = claimd("round", "archive", "asked", *flags, answer="y\n")
    document = archived(up, "asked")
    fields = dict(line.split("\t") for line in told.splitlines())
    assert fields == {
        "id": "asked",
        "issued": "3",
        "total": "10",
        "file": document["file"],
        "sha256": document["sha256"],
    }
    assert Path(document["file"]).parent == up.data_dir / "archive"


def test_audit_and_export_read_the_file_without_a_console(up: Up, tmp_path: Path) -> None:
    """The same verdict and the same lines as before, and the digest to compare; nothing is asked of any server."""
    closed_round(up, "read", "abc")
    at = ("--data-dir", str(up.data_dir))
    exported, audit = claimd("export", "read", *at), json.loads(claimd("audit", "read", "--json", *at))
    document = archived(up, "read")
    nowhere = ("--data-dir", str(tmp_path), "--url", "http://127.0.0.1:1")
    found = json.loads(claimd("audit", document["file"], "--json", *nowhere))
    assert {name: found[name] for name in audit} == audit
    assert (found["round"], found["sha256"]) == ("read", document["sha256"])
    assert document["sha256"] in claimd("audit", document["file"], *nowhere)
    assert claimd("export", document["file"], *nowhere) == exported
    claimd("export", document["file"], "--output", str(tmp_path / "claims"), *nowhere)
    assert (tmp_path / "claims").read_text() == exported


def test_commands_on_an_archived_round_name_its_file(up: Up) -> None:
    """One line, with the file and its digest."""
    closed_round(up, "gone", "a")
    document = archived(up, "gone")
    for command in (
        ("round", "show", "gone"),
        ("round", "log", "gone"),
        ("round", "edit", "gone", "--total", "20", "--reason", "more"),
        ("round", "delete", "gone", "--reason", "x", "--yes"),
        ("audit", "gone"),
        ("export", "gone"),
        ("watch", "gone"),
    ):
        said = claimd(*command, "--data-dir", str(up.data_dir), exit_code=1)
        assert said.startswith("claimd: It was archived at ")
        assert (document["file"] in said, document["sha256"] in said, said.count("\n")) == (True, True, 1)


def test_a_round_that_is_open_is_not_archived(up: Up) -> None:
    """One line with the fault and the remedy."""
    up.create_round("going", total=10)
    flags = ("--reason", "x", "--yes", "--data-dir", str(up.data_dir))
    said = claimd("round", "archive", "going", *flags, exit_code=1)
    assert said.startswith("claimd: It is open and closes at 2099-01-01")
    assert "(not_closed)" in said


@pytest.mark.parametrize(
    ("name", "content", "exit_code", "sentence"),
    [
        ("r1.ndjson.gz", None, 1, "cannot be read: No such file"),
        ("r1.ndjson.gz", b"text", 1, "is no archive of claimd's"),
        ("Other.txt", b"text", 1, "is no archive of claimd's"),
        ("Missing.txt", None, 2, "is not a round's id"),
    ],
)
@pytest.mark.parametrize("command", ["audit", "export"])
def test_a_file_that_is_no_archive_is_one_line(
    up: Up, tmp_path: Path, command: str, name: str, content: bytes | None, exit_code: int, sentence: str
) -> None:
    """And never a traceback; nothing is printed of it."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    result = CliRunner().invoke(app, [command, str(path), "--data-dir", str(up.data_dir)])
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr.startswith("claimd: ")
    assert (sentence in result.stderr, result.stderr.count("\n")) == (True, 1)


def test_a_name_that_could_be_an_id_is_one(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever files there are in the working directory."""
    closed_round(up, "both", "a")
    (tmp_path / "both").write_text("a file")
    monkeypatch.chdir(tmp_path)
    assert "PASS" in claimd("audit", "both", "--data-dir", str(up.data_dir))


def test_what_was_archived_stays_so_when_all_is_killed(tmp_path: Path) -> None:
    """The embedded server's file no longer has the claims; after a kill -9 of everything stub and archive are there."""
    data_dir = tmp_path / "data"
    with Up(data_dir) as up:
        up.until_ready()
        closed_round(up, "old", "abc")
        manifest = data_dir / "appendonlydir/appendonly.aof.manifest"
        assert "seq 1 type b" in manifest.read_text()
        document = archived(up, "old")
        assert document["rewrite"] == "started"
        eventually(lambda: "seq 2 type b" in manifest.read_text(), "the file is rewritten")
        # The server removes the old files a moment later.
        person = up.identity_of("a")
        eventually(lambda: all(person not in text for text in contents(manifest.parent)), "the claims are gone")
        os.kill(up.pid("valkey"), signal.SIGKILL)
        up.process.kill()
        up.process.wait()
    with Up(data_dir) as up:
        up.until_ready()
        status, told = up.claim("old", "a")
        assert (status, told["code"]) == (410, "archived")
        assert archived(up, "old") == document
        assert json.loads(claimd("audit", document["file"], "--json"))["claims"] == 3
        up.stop()
