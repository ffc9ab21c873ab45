"""Children that hang (SIGSTOP) under a real supervisor: who serves meanwhile, what is started again, how it stops."""

import http.client
import os
import signal
import time
from pathlib import Path

from claimd.supervisor.watch import HUNG_SECONDS
from tests.servers import Server
from tests.up.running import Up, eventually, is_running

STOP_SECONDS = 15.0
# All of them to the worker that answers, by chance, of two: once in 16 million.
IN_A_ROW = 24


def served_in_a_row(port: int) -> bool:
    """Whether so many new connections are all answered, each within a second."""
    for _ in range(IN_A_ROW):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status != 200:
                return False
        except OSError:
            return False
        finally:
            connection.close()
    return True


def test_a_worker_that_hangs_gets_no_new_connections_and_is_put_back(tmp_path: Path) -> None:
    """Its share goes to the other within seconds; when it answers again it goes on, as the process it was."""
    with Up(tmp_path / "data", "--workers", "2").until_ready() as up:
        port, pids = up.record()["gateway"]["port"], [up.pid("gateway-0"), up.pid("gateway-1")]
        os.kill(pids[0], signal.SIGSTOP)
        eventually(lambda: served_in_a_row(port), "the other gets all", HUNG_SECONDS)
        os.kill(pids[0], signal.SIGCONT)
        # Each is the only one once.
        os.kill(pids[1], signal.SIGSTOP)
        eventually(lambda: served_in_a_row(port), "the first gets all", HUNG_SECONDS)
        os.kill(pids[1], signal.SIGCONT)
        assert [up.pid("gateway-0"), up.pid("gateway-1")] == pids
        assert "not answered" not in up.output
        assert up.stop() == 0


def test_whatever_hangs_is_started_again(tmp_path: Path) -> None:
    """A gateway, the console, and the server with what it has on disk."""
    with Up(tmp_path / "data", "--workers", "2").until_ready() as up:
        up.create_round("r")
        assert up.claim("r", "ann")[0] == 201
        names = ("gateway-1", "console", "valkey")
        hung = {name: up.pid(name) for name in names}
        for pid in hung.values():
            os.kill(pid, signal.SIGSTOP)
        for name, pid in hung.items():
            eventually(lambda name=name: f"{name} is back" in up.output, f"{name} again")
            assert f"{name} has not answered for 5 s: killing it\n" in up.output
            assert not is_running(pid)
        eventually(lambda: up.claim("r", "ann")[0] == 200, "the claim that was granted before")
        assert up.claim("r", "bob")[1]["claim"]["serial"] == 2
        assert up.stop() == 0


def test_a_stop_takes_fifteen_seconds_at_most(tmp_path: Path) -> None:
    """With everything hung, and nothing is left."""
    with Up(tmp_path / "data", "--workers", "2").until_ready() as up:
        pids = up.pids()
        for name in ("gateway-0", "gateway-1", "console", "valkey"):
            os.kill(up.pid(name), signal.SIGSTOP)
        began = time.monotonic()
        assert up.stop() == 0
        assert time.monotonic() - began < STOP_SECONDS
        assert not [pid for pid in pids if is_running(pid)]


def test_a_stop_on_an_own_server_that_hangs_takes_no_longer(tmp_path: Path, valkey: Server) -> None:
    """With a claim on its way there, which is told that its outcome is unknown; nobody has to be killed."""
    with Up(tmp_path / "data", "--redis-url", valkey.url).until_ready() as up:
        up.create_round("hung")
        address = up.record()["gateway"]
        client = http.client.HTTPConnection(address["host"], address["port"], timeout=20)
        valkey.freeze()
        try:
            client.request(
                *("POST", "/v1/rounds/hung/claims"), headers={"Authorization": f"Pass {up.pass_for('hung', 'bob')}"}
            )
            # Answered by the gateway alone: so it has read the claim, which came before.
            assert up.gateway("POST", "/v1/rounds/hung/claims", "Pass none")[0] == 401
            began = time.monotonic()
            up.process.send_signal(signal.SIGTERM)
            assert client.getresponse().status == 503
            assert up.process.wait(20) == 0
            assert time.monotonic() - began < STOP_SECONDS
            assert "killed" not in up.output
        finally:
            valkey.thaw()
