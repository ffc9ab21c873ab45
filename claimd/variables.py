"""Which `CLAIMD_…` variables of an environment are settings, which an orchestrator injects, and which are neither.

Kubernetes, and Docker's links, describe each Service to every container: a Service named `claimd` yields
`CLAIMD_PORT=tcp://10.96.12.7:8080`, one named `claimd-console` yields `CLAIMD_CONSOLE_PORT`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

PREFIX = "CLAIMD_"

_INJECTED_NAME = re.compile(
    r"CLAIMD(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)", re.ASCII
)
_INJECTED_PORT = re.compile(r"CLAIMD(_\w+)?_PORT", re.ASCII)
_INJECTED_ADDRESS = re.compile(r"(tcp|udp|sctp)://", re.ASCII)


def is_injected(name: str, value: str) -> bool:
    """Whether an orchestrator has injected this variable for a Service; case does not count in `name`."""
    name = name.upper()
    if _INJECTED_NAME.fullmatch(name):
        return True
    return _INJECTED_PORT.fullmatch(name) is not None and _INJECTED_ADDRESS.match(value) is not None


def unknown_variables(environment: Mapping[str, str], settings: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each variable that begins with `CLAIMD_` and is neither a setting nor injected, with the setting whose name
    is close to it, or "".

    `settings` are the names of all settings without their prefix, in lower case.
    """
    known = [f"{PREFIX}{name.upper()}" for name in settings]
    for name in sorted(environment):
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in known or is_injected(name, environment[name]):
            continue
        close = get_close_matches(upper, known, n=1, cutoff=0.8)
        yield name, close[0] if close else ""
