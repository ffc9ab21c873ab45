"""The container's health check: it finds the role that runs, and where its flags and variables make it listen."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from claimd import healthcheck
from claimd.cli.arguments import options
from claimd.healthcheck import addresses, answers
from claimd.settings import Settings
from tests.up.running import Up, clean_environment

BIN = ("/opt/claimd/bin/python", "/opt/claimd/bin/claimd")
PUBLIC, OPERATORS = ("127.0.0.1", 8080), ("127.0.0.1", 8081)


@pytest.mark.parametrize(
    ("command", "environment", "expected"),
    [
        ((*BIN, "up"), {}, [PUBLIC, OPERATORS]),
        ((*BIN, "gateway"), {}, [PUBLIC]),
        ((*BIN, "console"), {}, [OPERATORS]),
        (("python", "-P", "-m", "claimd", "gateway"), {}, [PUBLIC]),
        ((*BIN, "gateway", "--port", "9000"), {}, [("127.0.0.1", 9000)]),
        ((*BIN, "gateway", "--port=9000", "--port", "9001"), {}, [("127.0.0.1", 9001)]),
        ((*BIN, "gateway", "--port", "9000"), {"CLAIMD_PORT": "1"}, [("127.0.0.1", 9000)]),
        ((*BIN, "gateway"), {"CLAIMD_PORT": "9000", "CLAIMD_HOST": "0.0.0.0"}, [("127.0.0.1", 9000)]),
        ((*BIN, "gateway"), {"CLAIMD_PORT": "", "CLAIMD_HOST": ""}, [PUBLIC]),
        ((*BIN, "gateway"), {"CLAIMD_PORT": "tcp://10.96.12.7:8080"}, [PUBLIC]),
        ((*BIN, "gateway", "--host", "::"), {}, [("::1", 8080)]),
        ((*BIN, "console", "--console-host=10.0.0.5", "--console-port=9"), {}, [("10.0.0.5", 9)]),
        ((*BIN, "up", "--console-port", "9", "--port", "8"), {}, [("127.0.0.1", 8), ("127.0.0.1", 9)]),
        ((*BIN, "doctor"), {}, []),
        (("sh", "-c", "claimd gateway"), {}, []),
        (("",), {}, []),
    ],
)
def test_it_looks_where_the_role_listens(
    command: Sequence[str], environment: dict[str, str], expected: list[tuple[str, int]]
) -> None:
    """A flag wins over a variable; a role that listens on every address is asked on the loopback address."""
    assert addresses(command, environment) == expected


def test_it_knows_the_flags_and_the_defaults() -> None:
    """The health check does not import the settings; this test compares its flags and defaults with theirs."""
    flags = {"host": options.Host, "port": options.Port}
    flags |= {"console-host": options.ConsoleHost, "console-port": options.ConsolePort}
    sides = [pair for side in healthcheck._SIDES.values() for pair in side]
    for name, default in sides:
        assert str(Settings.model_fields[name.replace("-", "_")].default) == default
        assert flags.pop(name).__metadata__[0].default == f"--{name}"  # type: ignore[attr-defined]
    assert not flags


@contextmanager
def answering(data: bytes) -> Iterator[tuple[str, int]]:
    """A listener that answers one connection with these bytes; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        thread.join()


@pytest.mark.parametrize(
    ("data", "good"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 2", False),
        (b"", False),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False),
    ],
)
def test_only_200_is_an_answer(data: bytes, good: bool) -> None:
    """Any other status, half a status line and another protocol are unhealthy."""
    with answering(data) as address:
        assert answers(address) is good


def test_a_closed_port_is_no_answer() -> None:
    """A connection that is refused counts as unhealthy and raises nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    assert not answers(address)


def _container(proc: Path, processes: dict[int, tuple[str, ...]], environment: dict[str, str]) -> None:
    """Write a /proc with a container's first process and its children: their commands and their environment."""
    (proc / "1" / "task" / "1").mkdir(parents=True)
    (proc / "1" / "task" / "1" / "children").write_text(" ".join(str(pid) for pid in processes if pid != 1))
    for pid, command in processes.items():
        (proc / str(pid)).mkdir(exist_ok=True)
        (proc / str(pid) / "cmdline").write_text("\0".join((*command, "")))
        (proc / str(pid) / "environ").write_text("\0".join(f"{n}={v}" for n, v in environment.items()) + "\0")


def test_a_running_claimd_is_healthy_until_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found by its flags, with a proxy in the environment: as the first process, behind an init, behind a shell."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with Up(tmp_path / "data").until_ready() as up:
        ports = [str(up.process_file()[side]["port"]) for side in ("gateway", "console")]
        command = (*BIN, "up", "--port", ports[0], f"--console-port={ports[1]}")
        layouts: dict[str, dict[int, tuple[str, ...]]] = {
            "alone": {1: command},
            "init": {1: ("/sbin/docker-init", "--", *command[1:]), 7: command},
            "shell": {1: ("sh", "-c", "claimd up --port …"), 7: ("sleep", "1"), 8: command},
        }
        for name, processes in layouts.items():
            _container(tmp_path / name, processes, {"CLAIMD_PORT": "1"})
            monkeypatch.setattr(healthcheck, "_PROC", str(tmp_path / name))
            assert healthcheck.main() == 0, name
        assert up.stop() == 0
        assert healthcheck.main() == 1
        assert f"no answer from 127.0.0.1:{ports[0]}" in capsys.readouterr().out


@pytest.mark.parametrize("command", [("sleep", "1"), ()])
def test_another_program_is_named_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """A container that runs no role of claimd is unhealthy, and the output names the reason."""
    if command:
        _container(tmp_path, {1: command}, {})
    monkeypatch.setattr(healthcheck, "_PROC", str(tmp_path))
    assert healthcheck.main() == 1
    assert capsys.readouterr().out == "no role of claimd runs in this container\n"


def test_it_imports_next_to_nothing() -> None:
    """The check runs every five seconds in each container, and the import of the settings takes 0.3 s of a core."""
    program = (
        "import sys; before = set(sys.modules); import claimd.healthcheck; "
        "print(*sorted(name for name in set(sys.modules) - before if '.' not in name))"
    )
    environment = clean_environment()
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert set(printed.stdout.split()) - {"claimd"} <= set(sys.stdlib_module_names)
    assert not {"asyncio", "json", "ssl", "urllib", "http", "pathlib", "typing"} & set(printed.stdout.split())
