"""Output that never waits for its reader: real pipes that are full, gone, or read late."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claimd.cli.terminal.outlet import Lines, Outlet
from tests.up.pipes import drained, full_pipe

SECONDS = 20.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that is full."""
    read, write = full_pipe()
    yield read, write
    os.close(read)
    # The writer of an outlet may still be in it, which is then an error that it expects.
    os.close(write)


def test_lines_wait_for_the_reader_and_the_rest_is_counted(pipe: tuple[int, int]) -> None:
    """No writer blocks; a note with the number of dropped lines stands at their place, before the next line."""
    read, write = pipe
    outlet = Outlet(max_bytes=1000)
    out = Lines(outlet, write, "utf-8")
    for number in range(1000):
        print(f"line {number:04}", file=out)
    assert not outlet.flush(0.01)
    first = drained(read, until=b"missing")
    print("afterwards", file=out, flush=True)
    lines = (first + drained(read, until=b"afterwards\n")).decode().lstrip("-").splitlines()
    assert outlet.flush(SECONDS)
    kept = [line for line in lines if line.startswith("line ")]
    assert kept == [f"line {number:04}" for number in range(len(kept))]
    assert 90 < len(kept) < 120
    assert lines[len(kept) :] == [
        f"claimd: {1000 - len(kept)} lines are missing here, as this log was not read",
        "afterwards",
    ]


def test_a_full_disk_is_reported_once_there_is_room(tmp_path: Path) -> None:
    """A descriptor that cannot be written costs its lines, and no processor time."""
    outlet = Outlet()
    fd = os.open("/dev/full", os.O_WRONLY)
    out = Lines(outlet, fd, "utf-8")
    print("lost\nlost", file=out)
    assert outlet.flush(SECONDS)
    # As if there was room again.
    file = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(file, fd)
    print("kept", file=out)
    assert outlet.flush(SECONDS)
    assert (tmp_path / "log").read_text() == "claimd: 2 lines are missing here, as this log was not read\nkept\n"
    os.close(fd)
    os.close(file)


def test_a_reader_that_has_left_harms_nothing() -> None:
    """EPIPE for every line."""
    read, write = os.pipe()
    os.close(read)
    outlet = Outlet()
    out = Lines(outlet, write, "utf-8")
    for _ in range(10):
        print("x", file=out)
    assert outlet.flush(SECONDS)
    os.close(write)


def test_a_pipe_that_another_made_non_blocking_loses_nothing() -> None:
    """The flag belongs to the pipe, not to us: what does not fit now is written later."""
    read, write = full_pipe()
    os.set_blocking(write, False)
    outlet = Outlet()
    print("y" * 5000, file=Lines(outlet, write, "utf-8"))
    assert drained(read, until=b"y\n").endswith(b"y" * 5000 + b"\n")
    assert outlet.flush(SECONDS)
    os.close(read)
    os.close(write)


PROGRAM = """
import sys, threading
from claimd.cli.terminal.outlet import write_without_waiting
write_without_waiting()
print("out 1", flush=True)
print("err 1", file=sys.stderr)
print("out 2: \\u65b0")
raise RuntimeError("at last")
"""


def test_both_streams_of_a_program_keep_their_order() -> None:
    """Also a traceback at the end, and letters that an old locale cannot spell."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    lines = done.stdout.decode().splitlines()
    assert lines[:4] == ["out 1", "err 1", r"out 2: \u65b0", "Traceback (most recent call last):"]
    assert lines[-1] == "RuntimeError: at last"
    assert done.returncode == 1


def test_a_program_ends_though_its_traceback_is_not_read(pipe: tuple[int, int]) -> None:
    """The last words have half a second."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], stdout=pipe[1], stderr=pipe[1], timeout=SECONDS)
    assert done.returncode == 1
