"""`python -m claimd.healthcheck`: exit 0 if the role of this container answers. For Dockerfile's HEALTHCHECK.

It runs every few seconds for as long as the container lives, so it imports next to nothing: reading the settings as
claimd does takes ten times the processor time. It finds the role's address in the command line and the environment of
the role's process, so that flags count. It speaks HTTP on a plain socket, as a library would connect to the proxy that
HTTP_PROXY names.
"""

import itertools
import os
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence

_PROC = "/proc"
_TIMEOUT_SECONDS = 2.0
_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: healthcheck\r\nConnection: close\r\n\r\n"
_STATUS_LINE_BYTES = len(b"HTTP/1.1 200")

# The flags of each side with their defaults; variables have the same names.
_SIDES = {
    "gateway": (("host", "127.0.0.1"), ("port", "8080")),
    "console": (("console-host", "127.0.0.1"), ("console-port", "8081")),
}
_ROLES = {"gateway": ("gateway",), "console": ("console",), "up": ("gateway", "console")}
_THIS_MACHINE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is read, not bound

Address = tuple[str, int]


def addresses(command: Sequence[str], environment: Mapping[str, str]) -> list[Address]:
    """The addresses on which a claimd of that command line and environment listens; none for any other process."""
    role = _role(command)
    return [_address(side, command, environment) for side in _ROLES.get(role, ())]


def answers(address: Address) -> bool:
    """Whether `GET /healthz` at this address is answered with 200."""
    try:
        with socket.create_connection(address, _TIMEOUT_SECONDS) as connection:
            connection.sendall(_REQUEST)
            head = b""
            while len(head) < _STATUS_LINE_BYTES and (part := connection.recv(_STATUS_LINE_BYTES - len(head))):
                head += part
    except OSError:
        return False
    return head == b"HTTP/1.1 200"


def _role(command: Sequence[str]) -> str:
    """The role that a command line runs, "" where it runs none."""
    for word, following in itertools.pairwise(command):
        if word.rpartition("/")[2] == "claimd" and following in _ROLES:
            return following
    return ""


def _address(side: str, command: Sequence[str], environment: Mapping[str, str]) -> Address:
    host, port = (_setting(name, default, command, environment) for name, default in _SIDES[side])
    return _THIS_MACHINE.get(host, host), int(port)


def _setting(name: str, default: str, command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The value of a flag, else of its variable, else the default, as in `claimd.settings`."""
    value = environment.get(f"CLAIMD_{name.replace('-', '_').upper()}") or default
    for word, following in itertools.pairwise((*command, "")):
        if word == f"--{name}":
            value = following
        elif word.startswith(f"--{name}="):
            value = word.partition("=")[2]
    # For a Service named claimd, Kubernetes sets CLAIMD_PORT=tcp://….
    return default if name.endswith("port") and not value.isdecimal() else value


def _candidates() -> Iterable[int]:
    """Pids: the container's first process, then its children, as the first one may be an init or a shell."""
    yield 1
    for word in _read("1/task/1/children").split():
        yield int(word)


def _read(path: str) -> str:
    try:
        # Importing pathlib would be a third of the check's processor time.
        with open(f"{_PROC}/{path}", "rb") as file:  # noqa: PTH123
            return os.fsdecode(file.read())
    except OSError:
        return ""


def _variables(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.split("\0"))
    return {name.upper(): value for name, _, value in pairs}


def main() -> int:
    """Check the first role found; returns the exit code."""
    for pid in _candidates():
        environment = _variables(_read(f"{pid}/environ")) or {name.upper(): value for name, value in os.environ.items()}
        found = addresses(_read(f"{pid}/cmdline").split("\0"), environment)
        if found:
            silent = [f"{host}:{port}" for host, port in found if not answers((host, port))]
            print(f"no answer from {', '.join(silent)}" if silent else "ok")
            return bool(silent)
    print("no role of claimd runs in this container")
    return 1


if __name__ == "__main__":
    sys.exit(main())
