"""Children that hang (SIGSTOP) under a real supervisor: which gateway serves, what restarts, how long a stop takes."""

import http.client
import os
import signal
import time
from functools import partial
from pathlib import Path

from claimd.supervisor.watch import HUNG_SECONDS
from tests.servers import Server
from tests.up.running import Up, eventually, is_running

STOP_SECONDS = 15.0
# With both workers in use, all of so many connections go to the one that answers once in 16 million tries.
IN_A_ROW = 24


def served_in_a_row(port: int) -> bool:
    """Whether IN_A_ROW new connections are all answered, each within a second."""
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


def test_a_worker_that_hangs_gets_no_new_connections_until_it_answers(running_up: Up) -> None:
    """The other one gets all connections within seconds; when it answers again, it continues as the same process."""
    up = running_up
    port, pids = up.process_file()["gateway"]["port"], [up.pid("gateway-0"), up.pid("gateway-1")]
    os.kill(pids[0], signal.SIGSTOP)
    eventually(lambda: served_in_a_row(port), "the second gets all", HUNG_SECONDS)
    os.kill(pids[0], signal.SIGCONT)
    os.kill(pids[1], signal.SIGSTOP)
    eventually(lambda: served_in_a_row(port), "the first gets all", HUNG_SECONDS)
    os.kill(pids[1], signal.SIGCONT)
    assert [up.pid("gateway-0"), up.pid("gateway-1")] == pids
    assert "not answered" not in up.output


def test_a_child_that_hangs_is_restarted(running_up: Up) -> None:
    """A gateway, the console, and Valkey with what it has on disk."""
    up = running_up
    up.create_round("hung")
    assert up.claim("hung", "ann")[0] == 201
    hung = {name: up.pid(name) for name in ("gateway-1", "console", "valkey")}
    for pid in hung.values():
        os.kill(pid, signal.SIGSTOP)
    for name, pid in hung.items():
        eventually(partial(up.has_printed, f"{name} is back"), f"{name} is restarted")
        assert f"{name} has not answered for 5 s: killing it\n" in up.output
        assert not is_running(pid)
    eventually(lambda: up.claim("hung", "ann")[0] == 200, "the claim that was granted before")
    assert up.claim("hung", "bob")[1]["claim"]["serial"] == 2


def test_a_stop_takes_fifteen_seconds_at_most(tmp_path: Path, valkey: Server) -> None:
    """Whatever hangs: all children of the one, the external server of the other; both stop at the same time.

    The claim that is on its way to the external server is answered, with an unknown outcome, and no child is killed.
    """
    with (
        Up(tmp_path / "children", "--workers", "2").until_ready() as children_hang,
        Up(tmp_path / "server", "--redis-url", valkey.url).until_ready() as server_hangs,
    ):
        server_hangs.create_round("hung")
        pids = children_hang.pids()
        for name in ("gateway-0", "gateway-1", "console", "valkey"):
            os.kill(children_hang.pid(name), signal.SIGSTOP)
        valkey.freeze()
        try:
            claim = _claim(server_hangs, "hung")
            # The gateway answers this one without the server: by then it has read the claim, which came before.
            assert server_hangs.gateway("POST", "/v1/rounds/hung/claims", "Pass none")[0] == 401
            began = time.monotonic()
            for up in (children_hang, server_hangs):
                up.process.send_signal(signal.SIGTERM)
            assert claim.getresponse().status == 503
            for up in (server_hangs, children_hang):
                assert up.process.wait(20) == 0
                assert time.monotonic() - began < STOP_SECONDS
        finally:
            valkey.thaw()
        assert "killed" not in server_hangs.output
        assert not [pid for pid in pids if is_running(pid)]


def _claim(up: Up, round_id: str) -> http.client.HTTPConnection:
    """Send a claim; its connection, on which the answer will arrive."""
    address = up.process_file()["gateway"]
    client = http.client.HTTPConnection(address["host"], address["port"], timeout=20)
    headers = {"Authorization": f"Pass {up.pass_for(round_id, 'bob')}"}
    client.request("POST", f"/v1/rounds/{round_id}/claims", headers=headers)
    return client
