"""What a real gateway writes to its log while clients choose the paths."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.http.raw import connected
from tests.servers import Server
from tests.up.running import clean_environment, eventually

RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ gateway: ")
READY = re.compile(r"^gateway ready on http://127\.0\.0\.1:(\d+)$", re.MULTILINE)
# Line ends, characters that a terminal treats as such or obeys, and those that reverse the direction of text.
BREAKS = ("\n", "\r", "\r\n", "\x0b", "\x85", "\u2028", "\u2029", "\x1b[2J\x1b[H", "\x9b2J", "\u202e", "\u2066", "\x7f")


@contextmanager
def a_gateway(module: str, url: str, output: Path) -> Iterator[int]:
    """Run a gateway process, and yield its port; what it prints goes to `output`."""
    command = [sys.executable, "-m", module, "gateway", "--redis-url", url, "--port", "0"]
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, env=clean_environment() | {"CLAIMD_SECRET": "s" * 32}, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield int(eventually(lambda: READY.search(output.read_text()), "ready")[1])
    finally:
        process.terminate()
        assert process.wait(20) == 0


async def test_no_client_writes_a_line_of_the_log(valkey: Server, tmp_path: Path) -> None:
    """A path stays within one line, a traceback that quotes it is marked by a bar, and no character moves a cursor."""
    output = tmp_path / "output"
    forged = "".join(f"{text}2026-01-01 00:00:00,000 ERROR gateway: forged" for text in BREAKS)
    with a_gateway("tests.up.buggy_claimd", valkey.url, output) as port:
        async with connected(port) as raw:
            await raw.send(f"GET /v1/rounds/x{quote(forged)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = await raw.answer()
            assert answer is not None
            assert (answer.status, answer.document["code"]) == (503, "unavailable")
    text = output.read_bytes().decode()
    assert not re.search(r"[^\n\x20-\x7e…]", text), "only text and line feeds"
    lines = text.splitlines()
    records = [line for line in lines if RECORD.match(line)]
    assert len(records) == 1
    assert "ERROR gateway: GET /v1/rounds/x" in records[0]
    assert records[0].count("ERROR gateway: forged") == len(BREAKS)
    # All other lines are claimd's own, or of the marked traceback.
    assert sum(line == "    | Traceback (most recent call last):" for line in lines) == 1
    assert not [line for line in lines if "forged" in line and not (RECORD.match(line) or line.startswith("    | "))]


async def test_a_line_of_the_log_has_a_maximum_length(valkey: Server, tmp_path: Path) -> None:
    """A request with the longest possible path does not fill the disk eight times faster."""
    output = tmp_path / "output"
    with a_gateway("tests.up.buggy_claimd", valkey.url, output) as port:
        async with connected(port) as raw:
            await raw.send(b"GET /v1/rounds/" + b"a" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await raw.answer()
            assert answer is not None
            assert answer.status == 503
    record = next(line for line in output.read_text().splitlines() if RECORD.match(line))
    assert 1900 < len(record) < 2100
