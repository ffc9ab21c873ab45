"""Parses the origins (RFC 6454) that may call the public API from a browser: a list, compared byte for byte.

A browser writes an origin in one way only: lower case, without the scheme's own port, without a path. Any other
spelling would never match, and is an error here.
"""

import re
from collections.abc import Mapping

# Schemes of apps (`capacitor://localhost`) are origins, too.
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.ASCII)
_OWN_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
_MAX_PORT = 65535


def parse_origins(listed: str) -> tuple[str, ...]:
    """The origins of a comma-separated list. Raises ValueError that names the first one that no browser sends."""
    return tuple(_checked(part.strip()) for part in listed.split(",") if part.strip())


def _checked(origin: str) -> str:
    if origin == "*":
        raise ValueError("'*' is not accepted: name each origin, or a copy of the app elsewhere can use the API, too")
    if origin == "null":
        raise ValueError("'null' is not accepted: every local file and sandboxed frame has this origin")
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        raise ValueError(
            f"{origin!r} is not an origin as browsers send it: scheme://host or scheme://host:port, in lower case, "
            "without a path or a slash at the end"
        )
    port = int(match[2]) if match[2] else None
    if port is not None and (port > _MAX_PORT or port == _OWN_PORTS.get(match[1])):
        raise ValueError(f"{origin!r} has a port that browsers never send")
    return origin
