"""The children that are claimd's own: gateways and the console, each `python -m claimd ROLE` on a socket lent to it."""

import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from claimd.supervisor.shared_port import SharedPort
from claimd.supervisor.supervisor import Spec

# -P keeps files of the directory that somebody stands in from being taken for modules.
_CLAIMD = (sys.executable, "-P", "-m", "claimd")


def worker_name(port: int, number: int) -> str:
    """What the names begin with that a worker counts under; each process run adds a token of its own."""
    return f"{socket.gethostname()}-{port}-{number}"


def gateway_specs(listeners: Sequence[socket.socket], environment: Mapping[str, str]) -> list[Spec]:
    """One worker a socket: `gateway-0`, `gateway-1`, … New connections go to those that answer."""
    specs, port = [], SharedPort(listeners)
    for number, listener in enumerate(listeners):
        name = worker_name(listener.getsockname()[1], number)
        command = (*_CLAIMD, "gateway", "--listen-fd", str(listener.fileno()), "--worker", name)
        on_answering = partial(port.set_answering, number)
        specs.append(
            Spec(f"gateway-{number}", command, environment, pass_fds=(listener.fileno(),), on_answering=on_answering)
        )
    return specs


def console_spec(listener: socket.socket, environment: Mapping[str, str], *, embedded: bool) -> Spec:
    """The operators' side. `embedded` tells it that the server is the embedded one."""
    command = (*_CLAIMD, "console", "--listen-fd", str(listener.fileno()), *(("--embedded",) if embedded else ()))
    return Spec("console", command, environment, pass_fds=(listener.fileno(),))
