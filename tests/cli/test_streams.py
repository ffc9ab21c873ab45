"""The command line as a process of its own: terminals of every width, pipes, streams that are full, closed or ASCII."""

import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest

from tests.up.running import Up, clean_environment, eventually

pytestmark = pytest.mark.xdist_group("cli")

WIDTHS = (20, 40, 80, 200)
LONG_ID = "spring-2026-hangzhou-5"
LONGEST_ID = "a" * 64
TITLE = "杭州消费券第五轮 🎟 and words behind it"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Two rounds: one of everyday size, one whose id and numbers are as long as they can be."""
    with Up(tmp_path_factory.mktemp("streams") / "data") as up:
        up.until_ready()
        for round_id, total in ((LONG_ID, 1_500_000), (LONGEST_ID, 2**31)):
            window = {"opens_at": "2020-01-01T00:00:00Z", "closes_at": "2099-01-01T00:00:00Z"}
            body = {"id": round_id, "title": TITLE, "total": total, **window}
            assert up.console("POST", "/admin/v1/rounds", body)[0] == 201
        yield up
        up.stop()


def claimed_round(up: Up) -> str:
    """The id of a round with one claim."""
    window = {"opens_at": "2019-01-01T00:00:00Z", "closes_at": "2099-01-01T00:00:00Z"}
    body = {"id": "claimed", "title": "T", "total": 5, **window}
    assert up.console("POST", "/admin/v1/rounds", body)[0] in (201, 409)
    assert up.claim("claimed", "ada")[0] in (201, 200)
    return "claimed"


def command(up: Up, arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "claimd", *arguments, "--data-dir", str(up.data_dir)]


def run(up: Up, *arguments: str, shell: str = '"$@"', **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command, within a line of bash."""
    return subprocess.run(
        ["bash", "-c", shell, "bash", *command(up, list(arguments))],
        env=clean_environment() | environment,
        capture_output=True,
        timeout=60,
    )


def on_terminal(up: Up, width: int, *arguments: str, term: str = "xterm", **environment: str) -> tuple[str, int]:
    """What a terminal of that width is sent, without colours; and the exit code."""
    main, secondary = pty.openpty()
    ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    # COLUMNS of whatever runs the tests would decide the width.
    inherited = {name: value for name, value in clean_environment().items() if name not in ("COLUMNS", "LINES")}
    environment = inherited | {"TERM": term, "NO_COLOR": "1"} | environment
    with subprocess.Popen(command(up, list(arguments)), env=environment, stdout=secondary, stdin=secondary) as process:
        os.close(secondary)
        sent = b""
        with suppress(OSError):
            while piece := os.read(main, 65536):
                sent += piece
    os.close(main)
    return _without_styles(sent.decode().replace("\r\n", "\n")), process.returncode


def _without_styles(text: str) -> str:
    for style in ("1", "2", "0", "1;32", "32"):
        text = text.replace(f"\x1b[{style}m", "")
    return text


@pytest.mark.parametrize(("width", "term"), [*((width, "xterm") for width in WIDTHS), (40, "dumb")])
def test_ids_and_numbers_are_whole_on_a_terminal_of_any_width(up: Up, width: int, term: str) -> None:
    """The title gives way first; no line breaks within an id or a number but where the terminal itself wraps."""
    listed, code = on_terminal(up, width, "round", "list", term=term)
    assert code == 0
    words = listed.replace("\n", " ").split()
    for whole in (LONG_ID, LONGEST_ID, "1,500,000", "2,147,483,648"):
        assert whole in words, listed
    assert words.count("2020-01-01T00:00:00.000Z") >= 2, listed
    assert ("behind it" in listed) == (width > 20)


def test_what_is_shown_is_whole_on_a_narrow_terminal(up: Up) -> None:
    """`show` and `audit` leave it to the terminal to wrap."""
    shown, _ = on_terminal(up, 20, "round", "show", LONG_ID)
    assert f"{LONG_ID}  {TITLE}\n" in shown
    assert "1,500,000 left of 1,500,000 (0 claimed)\n" in shown
    audited, _ = on_terminal(up, 20, "audit", LONG_ID)
    assert f"PASS  {LONG_ID}: every promise was kept\n" in audited
    assert audited.count("1,500,000 ") == 2


def test_the_title_gives_way_and_nothing_else_does_where_it_fits(up: Up) -> None:
    """A table as wide as the terminal, with the title cut by an ellipsis."""
    listed, _ = on_terminal(up, 150, "round", "list")
    head, *rows = listed.splitlines()
    assert head.split() == ["round", "status", "left", "claimed", "total", "opens", "title"]
    assert len(rows) == 2
    assert all(row.rstrip().endswith("…") and "杭州消费券" in row for row in rows)


def test_columns_decides_the_width_of_a_terminal(up: Up) -> None:
    """COLUMNS, as for other programs."""
    narrow, _ = on_terminal(up, 200, "round", "list", COLUMNS="20")
    assert f"{LONG_ID}\n  open\n  1,500,000 left of 1,500,000 (0 claimed)\n" in narrow


def test_a_pipe_is_sent_whole_plain_columns(up: Up) -> None:
    """For `cut -f`, at any width: a tab between fields, no header, no colours, numbers and words as in the API."""

    def lines(*arguments: str) -> list[str]:
        done = run(up, *arguments, COLUMNS="20", FORCE_COLOR="1", TERM="xterm")
        assert (done.returncode, done.stderr, b"\x1b" in done.stdout) == (0, b"", False)
        return done.stdout.decode().splitlines()

    assert [line for line in lines("round", "list") if line.startswith((LONG_ID, LONGEST_ID))] == [
        f"{round_id}\topen\t{total}\t0\t{total}\t2020-01-01T00:00:00.000Z\t{TITLE}"
        for round_id, total in ((LONG_ID, 1_500_000), (LONGEST_ID, 2**31))
    ]
    shown = dict(line.split("\t") for line in lines("round", "show", LONGEST_ID))
    assert (shown["id"], shown["title"], shown["total"], shown["paused"]) == (LONGEST_ID, TITLE, str(2**31), "false")
    first, *rest = lines("audit", LONG_ID)
    assert first == f"PASS\t{LONG_ID}\tevery promise was kept"
    assert "issued\t0\tby the counters, without voided claims" in rest
    assert len(lines("doctor")) == 8


ASCII = {"PYTHONIOENCODING": "ascii"}
NO_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("environment", [ASCII, NO_LOCALE], ids=["ascii", "C"])
def test_a_title_in_any_script_is_printed_in_any_locale(up: Up, environment: dict[str, str]) -> None:
    """With backslashes where the locale has no such letters; JSON stays JSON, and help is printed."""
    shown = run(up, "round", "show", LONG_ID, **environment)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert TITLE in shown.stdout.decode() or rb"\u676d\u5dde" in shown.stdout
    as_json = run(up, "round", "show", LONG_ID, "--json", **environment)
    assert json.loads(as_json.stdout)["title"] == TITLE


def test_what_is_typed_is_utf8_in_any_locale(up: Up, tmp_path: Path) -> None:
    """As an argument and in a file; bytes that are no text are refused, naming the flag."""
    (tmp_path / "pack.json").write_bytes('\ufeff{"name": "消费券"}'.encode())
    edited = run(
        up, "round", "edit", LONG_ID, "--title", TITLE, "--reason", "改", "--pack", f"@{tmp_path}/pack.json", "--json",
        **NO_LOCALE,
    )  # fmt: skip
    state = json.loads(edited.stdout)
    assert (state["title"], state["pack"]) == (TITLE, {"name": "消费券"})
    for flag in ("--title", "--pack"):
        refused = run(up, "round", "edit", LONG_ID, "--reason", "x", shell=f"\"$@\" {flag} $'\\xff'")
        assert refused.returncode == 2
        assert refused.stderr.startswith(b"claimd: " + flag.encode())
        assert b"is not UTF-8 text" in refused.stderr


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"], ids=["full", "closed"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["round", "list"],
        ["audit", LONG_ID, "--json"],
        ["doctor"],
        ["watch", LONG_ID],
        ["export", "claimed"],
        ["--help"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_output_that_cannot_be_written_is_reported_in_a_line(up: Up, redirection: str, arguments: list[str]) -> None:
    """Exit code 1, whatever the command; not 0 with nothing written, and no traceback."""
    if "export" in arguments:
        claimed_round(up)
    line = f"{sys.executable} -m claimd {' '.join(arguments)}"
    if "--help" not in arguments:
        line += f" --data-dir {up.data_dir}"
    done = subprocess.run(
        ["bash", "-c", f"{line} {redirection}"], env=clean_environment(), capture_output=True, timeout=60
    )
    why = b"No space left on device" if redirection == ">/dev/full" else b"Bad file descriptor"
    assert done.stderr == b"claimd: the output cannot be written: " + why + b"\n"
    assert done.returncode == 1


@pytest.mark.parametrize("arguments", [["round", "list"], ["--help"]])
def test_a_reader_that_leaves_ends_a_command_quietly(up: Up, arguments: list[str]) -> None:
    """As SIGPIPE would: 141, which is neither success nor what an audit ends with."""
    reading, writing = os.pipe()
    os.close(reading)
    line = command(up, arguments) if arguments != ["--help"] else [sys.executable, "-m", "claimd", "--help"]
    with subprocess.Popen(line, env=clean_environment(), stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("redirection", ["2>/dev/full", "<&- 2>&-"])
def test_messages_that_cannot_be_written_change_no_exit_code(up: Up, redirection: str) -> None:
    """Nor the output."""
    audited = run(up, "audit", LONG_ID, shell=f'"$@" {redirection}')
    assert (audited.returncode, audited.stdout.split(b"\t")[0]) == (0, b"PASS")
    assert run(up, "round", "show", "nobody", shell=f'"$@" {redirection}').returncode == 1


def test_closing_without_an_answer_changes_nothing(up: Up) -> None:
    """Where standard input is closed, at its end, or no text."""
    up.create_round("asked")
    for redirection in ("<&-", "</dev/null", "< <(printf '\\xff\\n')"):
        done = run(up, "round", "close", "asked", "--reason", "x", shell=f'"$@" {redirection}')
        assert done.returncode == 1
        assert b"claimd: nothing was changed" in done.stderr
        assert b"Traceback" not in done.stderr
    assert up.console("GET", "/admin/v1/rounds/asked")[1]["status"] == "open"


def _interrupted(process: "subprocess.Popen[bytes]") -> tuple[int, bytes]:
    process.send_signal(signal.SIGINT)
    try:
        _, messages = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, messages


def test_ctrl_c_ends_a_question(up: Up) -> None:
    """The first one, though the command waits for a terminal."""
    up.create_round("kept")
    main, secondary = pty.openpty()
    arguments = command(up, ["round", "close", "kept", "--reason", "slip"])
    process = subprocess.Popen(
        arguments, env=clean_environment(), stdin=secondary, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    asked = b""
    while not asked.endswith(b"[y/N]: "):
        asked += os.read(process.stderr.fileno(), 100)
    assert _interrupted(process) == (130, b"")
    os.close(main)
    os.close(secondary)
    assert up.console("GET", "/admin/v1/rounds/kept")[1]["status"] == "open"


def test_ctrl_c_ends_a_command_that_waits_for_a_file_or_for_its_reader(up: Up, tmp_path: Path) -> None:
    """130 and no traceback, though a system call blocks."""
    os.mkfifo(tmp_path / "fifo")
    reading = command(up, ["round", "edit", LONG_ID, "--reason", "x", "--pack", f"@{tmp_path}/fifo"])
    pipe, full = os.pipe()
    os.set_blocking(full, False)
    with suppress(BlockingIOError):
        while os.write(full, b"x" * 65536):
            pass
    os.set_blocking(full, True)
    for arguments, stdout in ((reading, subprocess.DEVNULL), (command(up, ["watch", LONG_ID]), full)):
        process = subprocess.Popen(arguments, env=clean_environment(), stdout=stdout, stderr=subprocess.PIPE)
        eventually(lambda pid=process.pid: _waits_in_a_call(pid), "it blocks")  # type: ignore[misc]
        assert _interrupted(process) == (130, b"")
    os.close(pipe)
    os.close(full)


def _waits_in_a_call(pid: int) -> bool:
    """Whether the main thread sleeps in the opening of a pipe or in a write to one, and not in the event loop."""
    return any(name in Path(f"/proc/{pid}/wchan").read_text() for name in ("pipe_w", "fifo", "wait_for_partner"))


def test_ctrl_c_while_the_command_line_is_imported() -> None:
    """The process ends by the signal, without a traceback."""
    interrupted = """
import os, signal, sys
class Interrupts:
    def find_spec(self, name, *_):
        if name == "claimd.cli.app":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
from claimd.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", interrupted], env=clean_environment(), capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


def test_an_export_into_a_pipe_leaves_it_a_pipe(up: Up, tmp_path: Path) -> None:
    """A file of another kind is written, never replaced: as root that would remove /dev/null."""
    os.mkfifo(tmp_path / "fifo")
    claimed_round(up)
    with subprocess.Popen(["cat", tmp_path / "fifo"], stdout=subprocess.PIPE) as reader:
        try:
            exported = run(up, "export", "claimed", "--output", str(tmp_path / "fifo"))
            assert (exported.returncode, (tmp_path / "fifo").is_fifo()) == (0, True)
            assert b'"serial":1' in reader.communicate(timeout=30)[0]
        finally:
            reader.kill()


def test_an_output_file_that_cannot_be_written(up: Up, tmp_path: Path) -> None:
    """A line with the reason, and nothing is left behind; a name need not be UTF-8."""
    output = tmp_path / "out"
    full = run(up, "export", claimed_round(up), "--output", str(output), shell='ulimit -f 0; "$@"')
    assert (full.returncode, full.stderr) == (1, f"claimd: {output} cannot be written: File too large\n".encode())
    assert list(tmp_path.iterdir()) == []
    for name, why in ((".", "Is a directory"), ("", "Is a directory"), ("/nowhere/x", "No such file or directory")):
        refused = run(up, "export", "claimed", "--output", name)
        assert refused.returncode == 1
        assert refused.stderr.decode().endswith(f" cannot be written: {why}\n")
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    named = run(up, "export", "claimed", shell=f"\"$@\" --output {tmp_path}/$'\\xff'/out")
    assert (named.returncode, rb"1 claims in " in named.stderr, rb"\udcff/out" in named.stderr) == (0, True, True)
    assert (tmp_path / os.fsdecode(b"\xff") / "out").exists()


def test_up_refuses_a_data_directory_whose_name_is_no_text(tmp_path: Path) -> None:
    """In a line, and before it is made."""
    with Up(tmp_path / os.fsdecode(b"\xff")) as up:
        assert up.process.wait(30) == 1
        assert up.output.endswith("cannot be used: its name is not text in this locale\n")
        assert not up.data_dir.exists()


def test_up_reports_that_its_data_directory_is_new(tmp_path: Path) -> None:
    """Which one, as `.claimd` follows the working directory; at the next start it is not."""
    for expected in (1, 0):
        process: Any = subprocess.Popen(
            [sys.executable, "-m", "claimd", "up", "--port", "0", "--console-port", "0"],
            env=clean_environment(),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "ready\n":
                break
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        new = [line for line in lines if line.startswith("  new ")]
        assert len(new) == expected, lines
        assert all(f" {tmp_path}/.claimd: " in line for line in new)
