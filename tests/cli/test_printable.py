"""Words of others on a terminal: a title, a sentence of a server or of a console, are seen and not obeyed."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console as Terminal
from typer.testing import CliRunner

from claimd.cli.app import app
from claimd.cli.commands.watch import _line, picture
from claimd.cli.round_watcher import RoundSample
from claimd.cli.terminal import show
from claimd.cli.terminal.printable import printable, printable_json
from claimd.cli.terminal.progress import print_progress
from claimd.errors import CommandError

# It clears the screen, rings, colours, starts a line, turns it round, and closes a tag that it has not opened.
HOSTILE = "A\x1b[2J\x07\r\n\tB\x9b31m\u202eC\u2028D[/bold][red]E"
SEEN = r"A\x1b[2J\x07\r\n\tB\x9b31m\u202eC\u2028D[/bold][red]E"
STATE: dict[str, Any] = {
    "id": "r",
    "title": HOSTILE,
    "status": "open",
    "total": 10,
    "issued": 0,
    "remaining": 10,
    "opens_at": "2026-01-01T00:00:00.000Z",
    "closes_at": "2026-01-02T00:00:00.000Z",
    "pack": {"kind": HOSTILE},
}


def _obeyed(text: str) -> list[str]:
    # A tab separates the fields in a pipe; as for those within a field, see SEEN.
    return [character for character in text if character not in "\n\t" and not character.isprintable()]


def _printed(monkeypatch: pytest.MonkeyPatch, call: Any, *arguments: Any, **named: Any) -> str:
    printed = io.StringIO()
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(sys, "stdout", printed)
    call(*arguments, **named)
    return printed.getvalue()


@settings(derandomize=True, database=None)
@given(st.text())
def test_what_is_legible_shows_itself(text: str) -> None:
    """One line without a character that is obeyed; text that was fit already is left as it is."""
    seen = printable(text)
    assert len(seen.splitlines()) <= 1
    assert not [c for c in seen if c < " " or "\x7f" <= c <= "\x9f" or "\u202a" <= c <= "\u202e" or c in "\u2028\u2029"]
    seen.encode()
    assert printable(seen) == seen


def test_words_of_every_language_stay_as_they_are() -> None:
    """Accents, scripts from the right, joined emoji: all of them are text."""
    for text in ("Nächte", "消费券", "جولة", "סיבוב", "👩‍👩‍👧", "e\u0301", "a\\nb"):
        assert printable(text) == text


@settings(derandomize=True, database=None)
@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_legible_json_means_the_same(document: Any) -> None:
    """What a program reads is what was written."""
    try:
        text = json.dumps(document, ensure_ascii=False, indent=2)
        text.encode()
    except UnicodeEncodeError:
        return
    assert json.loads(printable_json(text)) == document
    assert not [
        c for c in printable_json(text) if c != "\n" and (c < " " or "\x7f" <= c <= "\x9f" or c in "\u2028\u202e")
    ]


def test_a_hostile_title_is_shown_and_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `show`, `list` and `watch`, on a terminal and in a pipe; as JSON it is still the title."""
    sample = RoundSample(STATE, 0, 0.0, {}, {}, None, None)
    live = Terminal(width=300, file=io.StringIO(), highlight=False)
    live.print(picture(sample, HOSTILE))
    texts = [
        _printed(monkeypatch, show.one_round, STATE, as_json=False),
        _printed(monkeypatch, show.many_rounds, {"rounds": [STATE]}, as_json=False),
        live.file.getvalue(),  # type: ignore[attr-defined]
    ]
    for text in texts:
        assert SEEN in text
        assert not _obeyed(text), text
    assert not _obeyed(_line(RoundSample({**STATE, "status": HOSTILE}, 0, 0.0, {HOSTILE: 1}, {}, None, None)))
    as_json = _printed(monkeypatch, show.one_round, STATE, as_json=True)
    assert not _obeyed(as_json)
    assert json.loads(as_json) == STATE


def test_a_status_of_a_strange_console_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are its times."""
    strange = {**STATE, "status": HOSTILE, "opens_at": HOSTILE, "closes_at": HOSTILE}
    text = _printed(monkeypatch, show.one_round, strange, as_json=False)
    assert text.count(r"\x1b[2J") == 4
    assert not _obeyed(text)


def test_a_progress_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where it carries the last words of a server, or a path that is no text."""
    print_progress(f"valkey ended: {HOSTILE}")
    print_progress("files in /tmp/\udcff")
    assert capsys.readouterr().out == f"valkey ended: {SEEN}\nfiles in /tmp/\\udcff\n"


def test_an_error_that_quotes_a_console_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the other side has put into its answer."""

    async def refused(*_: Any) -> None:
        raise CommandError(HOSTILE)

    monkeypatch.setattr("claimd.cli.console_client.ConsoleClient.round", refused)
    result = CliRunner().invoke(app, ["round", "show", "r", "--admin-token", "t", "--data-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stderr == f"claimd: {SEEN}\n"
