"""The children that are claimd's own: gateways and the console, each `python -m claimd ROLE` on a socket lent to it."""

import os
import socket
import sys
from collections.abc import Sequence
from functools import partial

from claimd.settings import Settings
from claimd.supervisor.child_environment import child_environment
from claimd.supervisor.child_spec import ChildSpec
from claimd.supervisor.shared_port import SharedPort

# -P: files of the current directory are not taken for modules.
_CLAIMD = (sys.executable, "-P", "-m", "claimd")


def worker_name(port: int, number: int) -> str:
    """The first part of the name under which a worker saves its counts; each process adds a random part to it."""
    return f"{socket.gethostname()}-{port}-{number}"


def gateway_specs(listeners: Sequence[socket.socket], settings: Settings) -> list[ChildSpec]:
    """One gateway for each socket: `gateway-0`, `gateway-1`, … Only those that answer get new connections."""
    specs, port = [], SharedPort(listeners)
    environment = child_environment(settings, os.environ, "gateway")
    for number, listener in enumerate(listeners):
        name = worker_name(listener.getsockname()[1], number)
        specs.append(
            ChildSpec(
                f"gateway-{number}",
                (*_CLAIMD, "gateway", "--listen-fd", str(listener.fileno()), "--worker", name),
                environment,
                pass_fds=(listener.fileno(),),
                on_answering=partial(port.set_answering, number),
            )
        )
    return specs


def console_spec(listener: socket.socket, settings: Settings, *, embedded: bool) -> ChildSpec:
    """The console. `embedded`: the server is the embedded Valkey of this `claimd up`."""
    command = (*_CLAIMD, "console", "--listen-fd", str(listener.fileno()), *(("--embedded",) if embedded else ()))
    environment = child_environment(settings, os.environ, "console")
    return ChildSpec("console", command, environment, pass_fds=(listener.fileno(),))
