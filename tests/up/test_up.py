"""`claimd up` as an operator meets it: real processes, ended in every way."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from claimd.embedded.binary import valkey_binary
from tests.up.running import Up, eventually, is_running


def test_the_start_lists_what_runs_where_without_a_secret(running_up: Up) -> None:
    """It names addresses, durability and the token's file; no secret appears, and all files are private."""
    up, data = running_up, running_up.data_dir
    addresses = up.process_file()
    assert f"http://127.0.0.1:{addresses['gateway']['port']}  (2 gateways)" in up.whole_output
    assert f"http://127.0.0.1:{addresses['console']['port']}" in up.whole_output
    assert "every grant is on disk before it is acknowledged" in up.whole_output
    assert str(data / "admin-token") in up.whole_output
    visible = up.whole_output + "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in up.pids())
    for name in ("secret", "admin-token"):
        assert (data / name).read_text().strip() not in visible
    modes = {str(path): path.lstat().st_mode & 0o777 for path in (data, *data.rglob("*"))}
    assert not {path: oct(mode) for path, mode in modes.items() if mode & 0o077}
    limits = re.search(r"Max open files\s+(\d+)\s+(\d+)", Path(f"/proc/{up.pid('gateway-1')}/limits").read_text())
    assert limits is not None
    assert limits[1] == limits[2]


def test_everything_is_still_there_after_a_stop_and_a_start(tmp_path: Path) -> None:
    """SIGTERM ends every process, and the exit code is 0; the next start has the round, the claim and the secrets."""
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


def test_ctrl_c_reaches_only_the_supervisor(tmp_path: Path) -> None:
    """SIGINT to the whole foreground group is an orderly stop: no child gets it."""
    with Up(tmp_path / "data").until_ready() as up:
        os.killpg(up.process.pid, signal.SIGINT)
        assert up.process.wait(20) == 0
        assert "SIGINT: stopping" in up.output
        assert "Traceback" not in up.output
        assert "killed" not in up.output


def test_a_stop_during_the_start_leaves_no_process(tmp_path: Path) -> None:
    """SIGTERM before "ready" stops the processes that have been started."""
    with Up(tmp_path / "data") as up:
        eventually(lambda: "durable" in up.output, "the server has started")
        pids = eventually(up.pids, "pids")
        assert up.stop() == 0
        assert "\nready\n" not in up.output
        assert not [pid for pid in pids if is_running(pid)]


def test_a_second_one_on_the_same_directory_does_not_start(running_up: Up) -> None:
    """It names the process that holds the lock, and does not disturb it."""
    with Up(running_up.data_dir) as second:
        assert second.process.wait(20) == 1
        assert second.output == (
            f"claimd: another claimd (pid {running_up.process.pid}) runs on {running_up.data_dir}: "
            "stop it, or choose another with --data-dir\n"
        )
    assert running_up.console("GET", "/admin/v1/rounds")[0] == 200


def test_a_killed_child_is_restarted(running_up: Up) -> None:
    """After SIGKILL of a gateway, Valkey and the console each runs again on its address, and no claim is lost."""
    up = running_up
    up.create_round("killed")
    assert up.claim("killed", "ann")[0] == 201
    for name in ("gateway-0", "valkey", "console"):
        killed = up.pid(name)
        os.kill(killed, signal.SIGKILL)
        eventually(partial(up.has_printed, f"{name} is back"), f"{name} is restarted")
        assert up.pid(name) != killed
        assert not is_running(killed)
    eventually(lambda: up.claim("killed", "ann")[0] == 200, "the claim that was granted before")
    assert up.claim("killed", "bob")[1]["claim"]["serial"] == 2
    assert up.console("GET", "/admin/v1/rounds/killed/audit")[1]["ok"]


def test_no_child_survives_a_killed_supervisor(tmp_path: Path) -> None:
    """SIGKILL of the supervisor ends all children; the next start on the same port works at once and has the claim."""
    with Up(tmp_path / "data").until_ready() as up:
        up.create_round("r")
        assert up.claim("r", "ann")[0] == 201
        pids, gateway = up.pids(), up.process_file()["gateway"]
        up.process.kill()
        up.process.wait()
        eventually(lambda: not [pid for pid in pids if is_running(pid)], "no orphans", seconds=5)
    with Up(tmp_path / "data", "--port", str(gateway["port"])).until_ready() as up:
        assert up.claim("r", "ann")[0] == 200


def test_an_orphaned_valkey_is_stopped(data_with_claims: Path) -> None:
    """A Valkey that still runs on the directory, without a supervisor, is stopped before the new one starts."""
    data = data_with_claims
    configuration = data / "valkey.conf"
    configuration.write_text(configuration.read_text().replace(_directory_in(configuration), str(data)))
    orphan = subprocess.Popen([valkey_binary(), configuration])
    try:
        eventually(lambda: (data / "valkey.pid").exists(), "the orphan's pid file")
        with Up(data).until_ready() as up:
            assert orphan.wait(5) is not None
            assert f"ending an orphaned valkey (pid {orphan.pid})" in up.output
    finally:
        orphan.kill()
        orphan.wait()


def _directory_in(configuration: Path) -> str:
    """The data directory for which a configuration was written."""
    directory = re.search(r'^dir "(.+)"$', configuration.read_text(), re.MULTILINE)
    assert directory is not None
    return directory[1]


@pytest.mark.parametrize(("flag", "variable"), [("port", "CLAIMD_PORT"), ("console-port", "CLAIMD_CONSOLE_PORT")])
def test_a_taken_port_is_named_in_one_line(tmp_path: Path, flag: str, variable: str) -> None:
    """Also where the other socket allows its port to be shared."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with Up(tmp_path / "data", f"--{flag}", str(port)) as up:
            assert up.process.wait(20) == 1
            assert up.output.endswith(f"claimd: port {port} is taken: choose another with --{flag} or {variable}\n")


def test_a_deep_data_directory_works(tmp_path: Path) -> None:
    """Where the path is too long for a unix socket, the socket is in a private temporary directory until the end."""
    data = tmp_path / ("deep-" * 30) / 'with "quotes" and spaces'
    data.parent.mkdir()
    with Up(data).until_ready() as up:
        up.create_round("r")
        assert up.claim("r", "ann")[0] == 201
        sock = Path(up.process_file()["valkey"]["url"].removeprefix("unix://"))
        assert sock.parent.stat().st_mode & 0o777 == 0o700
        assert up.stop() == 0
        assert not sock.parent.exists()


def test_a_damaged_file_ends_the_start_with_valkeys_last_line(data_with_claims: Path) -> None:
    """The message has the last line of Valkey's log, and the path of the log."""
    data = data_with_claims
    base = next((data / "appendonlydir").glob("*.rdb"))
    base.write_bytes(b"this is no database")
    with Up(data) as up:
        assert up.process.wait(20) == 1
        last = up.output.splitlines()[-1]
        assert last.startswith("claimd: valkey ended with status 1 before it was ready: ")
        assert str(data / "valkey.log") in last


@contextmanager
def external_server(directory: Path, *configuration: str) -> Iterator[str]:
    sock = directory / "external.sock"
    server = subprocess.Popen(
        [valkey_binary(), "--port", "0", "--unixsocket", sock, "--dir", directory, "--save", "", *configuration],
        stdout=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _accepts(sock), "the external server")
        yield f"unix://{sock}"
    finally:
        server.kill()
        server.wait()


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_an_evicting_server_is_rejected(tmp_path: Path) -> None:
    """A server that evicts keys would forget claims."""
    evicting = ("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
    with external_server(tmp_path, *evicting) as url, Up(tmp_path / "data", "--redis-url", url) as up:
        assert up.process.wait(20) == 1
        assert "evicts keys (maxmemory-policy allkeys-lru)" in up.output.splitlines()[-1]


def test_an_external_server_is_used_and_its_weaker_durability_reported(tmp_path: Path) -> None:
    """No Valkey is started, and a line warns that the server keeps nothing on disk."""
    with external_server(tmp_path) as url, Up(tmp_path / "data", "--redis-url", url).until_ready() as up:
        assert "valkey" not in up.process_file()
        assert "it has no append-only file" in up.output
        up.create_round("r")
        assert up.claim("r", "ann")[0] == 201
        assert up.stop() == 0


def test_an_external_server_that_is_down_is_named_without_its_password(tmp_path: Path) -> None:
    """The start fails with one line, without waiting."""
    began = time.monotonic()
    with Up(tmp_path / "data", CLAIMD_REDIS_URL=f"unix://me:hush@{tmp_path}/absent.sock") as up:
        assert up.process.wait(20) == 1
        assert "does not answer" in up.output
        assert "hush" not in up.output
        assert time.monotonic() - began < 10
