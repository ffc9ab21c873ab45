"""`claimd claim …` against a running claimd."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from claimd.cli.app import app
from tests.up.running import Up

pytestmark = pytest.mark.xdist_group("cli-edits")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """With one round, in which every test has persons of its own."""
    with Up(tmp_path_factory.mktemp("claims") / "data") as up:
        up.until_ready()
        window = {"opens_at": "2020-01-01T00:00:00Z", "closes_at": "2099-01-01T00:00:00Z"}
        assert up.console("POST", "/admin/v1/rounds", {"id": "r", "title": "T", "total": 50, **window})[0] == 201
        yield up
        up.stop()


@pytest.fixture
def claimd(up: Up) -> Any:
    """Runs `claimd …` in this process: exit code, standard output, standard error."""

    def run(*words: str, answer: str | None = None) -> tuple[int, str, str]:
        flags = ["--data-dir", str(up.data_dir)]
        result = CliRunner().invoke(app, [*words, *flags], input=answer, catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return run


def test_a_claim_is_found_and_voided(claimd: Any, up: Up) -> None:
    """By the identifier in the token, as an argument or a line of standard input."""
    status, document = up.claim("r", "ada")
    assert status == 201
    for words, line in ((("ada",), None), (("-",), "ada\n")):
        code, printed, _ = claimd("claim", "find", "r", *words, "--json", answer=line)
        assert (code, orjson.loads(printed)) == (0, document["claim"])
    claim = document["claim"]["id"]
    code, printed, said = claimd("claim", "void", "r", claim, "--reason", "forged", answer="n\n")
    assert (code, printed) == (1, "")
    assert "It cannot be undone." in said
    code, printed, _ = claimd("claim", "void", "r", claim, "--reason", "forged", "--yes")
    shown = dict(line.split("\t", 1) for line in printed.splitlines())
    assert code == 0
    assert (shown["id"], shown["barred"]) == (claim, "false")
    code, _, said = claimd("claim", "find", "r", "ada")
    assert (code, "not_claimed" in said) == (1, True)
    # A repetition changes nothing, and that is noted.
    code, again, said = claimd("claim", "void", "r", claim, "--reason", "again", "--bar", "--yes")
    assert (code, again) == (0, printed)
    assert "was voided before" in said
    assert up.claim("r", "ada")[0] == 201
    code, printed, _ = claimd("audit", "r")
    assert code == 0
    assert "voided\t1\t" in printed


def test_a_person_can_be_barred(claimd: Any, up: Up) -> None:
    """The question names what follows."""
    claim = up.claim("r", "bob")[1]["claim"]["id"]
    code, _, said = claimd("claim", "void", "r", claim, "--reason", "forged", "--bar", answer="y\n")
    assert code == 0
    assert "may not claim again" in said
    assert up.claim("r", "bob")[0] == 403


@pytest.mark.parametrize("claim", ["nothing", "../x", "?", "a/b", " "])
def test_a_claim_that_there_is_not_is_one_line(claimd: Any, claim: str) -> None:
    """With exit code 1."""
    code, printed, said = claimd("claim", "void", "r", claim, "--reason", "forged", "--yes")
    assert (code, printed, said.count("\n")) == (1, "", 1)
    assert "not_claimed" in said
