"""Commands that change a round and print it as it is then; against a running claimd."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from claimd.cli.app import app
from claimd.cli.arguments.totals import parse_total
from claimd.domain.times import HOUR_MS, from_rfc3339
from claimd.errors import WrongUsage
from tests.up.running import Up

pytestmark = pytest.mark.xdist_group("cli-edits")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Shared by this file; every test has rounds of its own."""
    with Up(tmp_path_factory.mktemp("edits") / "data") as up:
        yield up.until_ready()
        up.stop()


@pytest.fixture
def claimd(up: Up) -> Any:
    """Runs `claimd round …` in this process: exit code, standard output, standard error."""

    def run(*words: str, answer: str | None = None) -> tuple[int, str, str]:
        flags = ["--data-dir", str(up.data_dir)]
        result = CliRunner().invoke(app, ["round", *words, *flags], input=answer, catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return run


def fields(printed: str) -> dict[str, str]:
    """What `round show` prints in a pipe."""
    return dict(line.split("\t", 1) for line in printed.splitlines())


def create(claimd: Any, round_id: str, opens_at: str = "now", *flags: str) -> str:
    """A round of 1,500,000 packs; the notes on stderr."""
    code, _, said = claimd("create", round_id, "--title", "T", "--total", "1500000", "--opens-at", opens_at, *flags)
    assert code == 0, said
    return str(said)


def test_a_total_can_be_changed_by_an_amount(claimd: Any) -> None:
    """`+100` on 1,500,000 is 1,500,100, and `-50` is 50 less; a plain number is the new total."""
    create(claimd, "more")
    for total, expected in (("+100", "1500100"), ("-50", "1500050"), ("7", "7")):
        code, printed, _ = claimd("edit", "more", "--total", total, "--reason", "why")
        assert code == 0
        assert fields(printed)["total"] == expected
    code, _, said = claimd("edit", "more", "--total", "-8", "--reason", "why")
    assert code == 1
    assert "total_change" in said


@pytest.mark.parametrize(
    "text", ["", "+", "1e6", "1,000", "+-1", "--1", "1.5", "2147483649", "+2147483649", "\uff11", "+ 1"]
)
def test_what_is_no_total_is_refused(text: str) -> None:
    """With what could be written instead."""
    with pytest.raises(WrongUsage, match=r"\+100"):
        parse_total(text)


def test_a_closing_is_counted_from_the_opening(claimd: Any) -> None:
    """`--closes-at +2d` of a round that opens in an hour is two days of it; so it is in an edit."""
    create(claimd, "spring", "+1h", "--closes-at", "+2d")
    state = fields(claimd("show", "spring")[1])
    assert from_rfc3339(state["closes_at"]) - from_rfc3339(state["opens_at"]) == 48 * HOUR_MS
    for flags, hours in ((["--closes-at", "+3h"], 3), (["--opens-at", "+5h", "--closes-at", "+4h"], 4)):
        code, printed, said = claimd("edit", "spring", *flags, "--reason", "why")
        assert code == 0, said
        state = fields(printed)
        assert from_rfc3339(state["closes_at"]) - from_rfc3339(state["opens_at"]) == hours * HOUR_MS


def test_a_round_that_is_open_at_once_is_warned_about(claimd: Any) -> None:
    """An opening in the past is most often a slip: the warning has the command that undoes it, and that works."""
    said = create(claimd, "slip", "2020-01-01T00:00:00Z", "--closes-at", "2099-01-01T00:00:00Z")
    assert "WARNING" in said
    assert "claimd round delete slip" in said
    assert create(claimd, "later", "+1h") == ""
    code, _, said = claimd("delete", "slip", "--yes")
    assert (code, "deleted" in said) == (0, True)
    assert claimd("show", "slip")[0] == 1


def test_a_deletion_is_asked_for(claimd: Any, up: Up) -> None:
    """Without --yes it asks; a round with claims stays, and the error has the alternative."""
    create(claimd, "asked")
    assert claimd("delete", "asked", answer="n\n")[0] == 1
    assert claimd("show", "asked")[0] == 0
    assert up.claim("asked", "ann")[0] == 201
    code, _, said = claimd("delete", "asked", answer="y\n")
    assert (code, "has_claims" in said, "close" in said) == (1, True, True)


def test_a_pause_before_the_opening_is_shown(claimd: Any) -> None:
    """The status is still `scheduled`, so a note adds that the round will be paused when it opens."""
    create(claimd, "early", "+1h")
    code, printed, said = claimd("pause", "early", "--reason", "wait")
    assert (code, fields(printed)["status"], fields(printed)["paused"]) == (0, "scheduled", "true")
    assert "is paused: when it opens" in said
    assert claimd("resume", "early", "--reason", "go")[2] == ""


def test_a_closed_round_stays_closed_with_a_note(claimd: Any) -> None:
    """Resuming and editing one succeed, as the edit is made; a note adds that it opens nothing."""
    create(claimd, "done")
    assert claimd("close", "done", "--reason", "over", "--yes")[0] == 0
    for command in (("resume", "done"), ("edit", "done", "--total", "+1"), ("edit", "done", "--closes-at", "+9d")):
        code, printed, said = claimd(*command, "--reason", "why")
        assert (code, fields(printed)["status"]) == (0, "closed")
        assert "closed for good" in said


def test_the_note_on_a_round_that_is_over_has_the_way_to_reopen_it(claimd: Any) -> None:
    """One whose window has passed is no closed one: a later end opens it."""
    create(claimd, "past", "2020-01-01T00:00:00Z", "--closes-at", "2020-01-02T00:00:00Z")
    assert "--closes-at" in claimd("resume", "past", "--reason", "why")[2]
    code, printed, _ = claimd("edit", "past", "--closes-at", "2099-01-01T00:00:00Z", "--reason", "again")
    assert (code, fields(printed)["status"]) == (0, "open")


def test_an_edit_can_be_bound_to_a_version(claimd: Any) -> None:
    """An edit for an older version is refused by name, and changes nothing."""
    create(claimd, "bound")
    assert claimd("edit", "bound", "--total", "9", "--if-version", "1", "--reason", "first")[0] == 0
    for words in (("edit", "bound", "--total", "8"), ("pause", "bound"), ("revoke-passes", "bound")):
        code, _, said = claimd(*words, "--if-version", "1", "--reason", "second")
        assert (code, "version_mismatch" in said) == (1, True)
    assert fields(claimd("show", "bound")[1])["version"] == "2"


def test_the_log_has_actor_action_and_reason(claimd: Any) -> None:
    """In a pipe a line for each edit; with --json one object a line, as the console has it."""
    create(claimd, "told")
    claimd("edit", "told", "--total", "+5", "--reason", "the mayor\tadded five")
    claimd("revoke-passes", "told", "--reason", "a leak")
    code, printed, _ = claimd("log", "told")
    assert code == 0
    lines = [line.split("\t") for line in printed.splitlines()]
    assert [line[1:4] for line in lines] == [
        ["1", "admin", "create"],
        ["2", "admin", "edit"],
        ["3", "admin", "revoke_passes"],
    ]
    assert lines[1][4:] == ["the mayor\\tadded five", '{"total": 1500005}']
    code, printed, _ = claimd("log", "told", "--json")
    assert [line.startswith('{"at": "') for line in printed.splitlines()] == [True] * 3
    assert claimd("log", "nowhere")[0] == 1
