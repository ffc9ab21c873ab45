"""Signals to a role that runs alone: each of them lets it answer what is in flight, and nothing else ends it sooner."""

import asyncio
import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.servers import Server
from tests.up.alone import ADMIN_TOKEN, SECRET, Alone, alone
from tests.up.running import clean_environment, eventually
from tests.up.test_failover import make_round, pass_of

TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


@pytest.fixture
def held_back(valkey: Server) -> Iterator[Server]:
    """A server with a round, that holds writes back until a test says so."""
    with valkey.client() as client:
        client.flushall()
        asyncio.run(make_round(valkey.url))
        client.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        try:
            yield valkey
        finally:
            client.execute_command("CLIENT", "UNPAUSE")
            client.flushall()


def in_flight(role: Alone, name: str, server: Server) -> http.client.HTTPConnection:
    """A claim, or an operator's order, that the server has and has not decided."""
    connection = http.client.HTTPConnection(urlsplit(role.address).netloc, timeout=20)
    if name == "gateway":
        connection.request("POST", "/v1/rounds/r1/claims", headers={"Authorization": pass_of(1)})
    else:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
        connection.request("POST", "/admin/v1/rounds/r1/pause", '{"reason": "a test"}', headers)
    with server.client() as client:
        eventually(
            lambda: any(each["cmd"] == "evalsha" and "b" in each["flags"] for each in client.client_list()),
            "it is on the server",
            seconds=3,
        )
    return connection


@pytest.mark.parametrize(
    ("role", "signals"),
    [
        ("gateway", (HUP,)),
        ("gateway", (TERM, TERM, TERM)),
        ("gateway", (INT, INT, HUP)),
        ("console", (HUP,)),
        ("console", (TERM, INT, TERM)),
    ],
    ids=str,
)
def test_what_is_in_flight_is_answered(
    role: str, signals: tuple[signal.Signals, ...], tmp_path: Path, held_back: Server
) -> None:
    """Whichever signal it is, and however often it comes at once."""
    with alone(role, tmp_path, held_back.url) as running:
        connection = in_flight(running, role, held_back)
        for number in signals:
            running.process.send_signal(number)
        # It no longer listens: so it has seen the first signal; and it is there still.
        eventually(lambda: not _listens(running), "it stops")
        assert running.process.poll() is None
        with held_back.client() as client:
            client.execute_command("CLIENT", "UNPAUSE")
        # 503 where this took so long that its outcome is unknown: that is an answer, too.
        assert connection.getresponse().status in (201 if role == "gateway" else 200, 503)
        assert running.process.wait(20) == 0


def test_a_later_ctrl_c_does_not_wait(tmp_path: Path, held_back: Server) -> None:
    """A person who presses it again, a second later, is obeyed."""
    with alone("gateway", tmp_path, held_back.url) as running:
        connection = in_flight(running, "gateway", held_back)
        running.process.send_signal(INT)
        eventually(lambda: not _listens(running), "it stops")

        def ended() -> bool:
            running.process.send_signal(INT)
            return running.process.poll() is not None

        # Far below what the claim would have had.
        eventually(ended, "it does not wait", seconds=4)
        # Where it hung up, the outcome is unknown, too.
        with suppress(OSError, http.client.HTTPException):
            assert connection.getresponse().status == 503


def test_a_hangup_is_ignored_under_nohup(tmp_path: Path, valkey: Server) -> None:
    """As `claimd up` does: it goes on when its terminal closes."""
    output = tmp_path / "output"
    environment = clean_environment() | {"CLAIMD_SECRET": SECRET, "CLAIMD_REDIS_URL": valkey.url}
    with output.open("wb") as file:
        command = ["nohup", sys.executable, "-m", "claimd", "gateway", "--port", "0"]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        running = Alone(process, output)
        assert running.readiness() == 200
        process.send_signal(HUP)
        assert running.readiness() == 200
        process.send_signal(TERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def _listens(running: Alone) -> bool:
    try:
        running.readiness()
    except OSError:
        return False
    return True
