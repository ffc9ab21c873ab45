"""Signals to a role that runs alone: it answers the requests in flight first, except at a second Ctrl-C."""

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
def paused_server(valkey: Server) -> Iterator[Server]:
    """A server with a round, which delays writes until the test ends the pause."""
    with valkey.client() as client:
        client.flushall()
        asyncio.run(make_round(valkey.url))
        client.client_pause(60_000, all=False)
        try:
            yield valkey
        finally:
            client.client_unpause()
            client.flushall()


def in_flight(role: Alone, name: str, server: Server) -> http.client.HTTPConnection:
    """Send a claim, or an operator's edit, and return when it has reached the server, which delays it."""
    connection = http.client.HTTPConnection(urlsplit(role.address).netloc, timeout=20)
    if name == "gateway":
        connection.request("POST", "/v1/rounds/r1/claims", headers={"Authorization": pass_of(1)})
    else:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
        connection.request("POST", "/admin/v1/rounds/r1/pause", '{"reason": "a test"}', headers)
    with server.client() as client:
        eventually(
            lambda: any(each["cmd"] == "evalsha" and "b" in each["flags"] for each in client.client_list()),
            "it has reached the server",
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
def test_requests_in_flight_are_answered(
    role: str, signals: tuple[signal.Signals, ...], tmp_path: Path, paused_server: Server
) -> None:
    """Whichever signal arrives, and however often at once."""
    with alone(role, tmp_path, paused_server.url) as running:
        connection = in_flight(running, role, paused_server)
        for number in signals:
            running.process.send_signal(number)
        # It has handled the first signal once it no longer listens, and must not have ended.
        eventually(lambda: not _listens(running), "it no longer listens")
        assert running.process.poll() is None
        with paused_server.client() as client:
            client.client_unpause()
        # 503 where this took so long that the outcome is unknown.
        assert connection.getresponse().status in (201 if role == "gateway" else 200, 503)
        assert running.process.wait(20) == 0


def test_a_second_ctrl_c_ends_it_without_waiting(tmp_path: Path, paused_server: Server) -> None:
    """A SIGINT a second after the first one ends the role at once."""
    with alone("gateway", tmp_path, paused_server.url) as running:
        connection = in_flight(running, "gateway", paused_server)
        running.process.send_signal(INT)
        eventually(lambda: not _listens(running), "it no longer listens")

        def ended() -> bool:
            running.process.send_signal(INT)
            return running.process.poll() is not None

        # The claim could have waited for 6.25 s.
        eventually(ended, "its end", seconds=4)
        # Where it closed the connection instead, the outcome is unknown as well.
        with suppress(OSError, http.client.HTTPException):
            assert connection.getresponse().status == 503


def test_a_hangup_is_ignored_under_nohup(tmp_path: Path, valkey: Server) -> None:
    """As with `claimd up`, it continues when its terminal closes."""
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
