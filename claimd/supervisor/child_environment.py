"""The environment of each child: which settings a role gets, by an allow-list.

Settings are never arguments of a child, as every user of the machine can read those. A role gets what it uses and
nothing else: an attacker who breaks into a gateway finds no admin token. A setting that is not listed here reaches no
child; a test requires that every setting is listed.
"""

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import SecretStr

from claimd.settings import Settings
from claimd.variables import PREFIX

Role = Literal["gateway", "console"]

SETTINGS_OF: Final[Mapping[Role, frozenset[str]]] = {
    "gateway": frozenset(
        {
            "redis_url",
            "durability",
            "secret",
            "jwks",
            "jwt_issuer",
            "jwt_audience",
            "jwt_identity",
            "jwt_leeway",
            "idle_seconds",
            "cors_origins",
        }
    ),
    # The data directory is where it writes archives; by the secret it finds a person's claim.
    "console": frozenset({"redis_url", "durability", "secret", "admin_token", "idle_seconds", "data_dir"}),
}

_LENT_AS_SOCKET = "the supervisor binds the sockets, and a child gets one of them as a descriptor"
_READ_FROM_FILE = "the supervisor reads the file; a child gets what it contains, and need not be able to read it"

# Settings that no child gets, each with the reason.
SETTINGS_OF_SUPERVISOR_ALONE: Final[Mapping[str, str]] = {
    "host": _LENT_AS_SOCKET,
    "port": _LENT_AS_SOCKET,
    "console_host": _LENT_AS_SOCKET,
    "console_port": _LENT_AS_SOCKET,
    "workers": "the supervisor starts that many gateways; each of them is one",
    "secret_file": _READ_FROM_FILE,
    "admin_token_file": _READ_FROM_FILE,
}


def child_environment(settings: Settings, inherited: Mapping[str, str], role: Role) -> dict[str, str]:
    """`inherited` without its `CLAIMD_…` variables, plus the settings of that role, which have their values here."""
    environment = without_settings(inherited)
    for name in SETTINGS_OF[role]:
        value = getattr(settings, name)
        if value is not None:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            environment[f"{PREFIX}{name.upper()}"] = str(plain)
    return environment


def without_settings(inherited: Mapping[str, str]) -> dict[str, str]:
    """`inherited` without any `CLAIMD_…` variable, in whatever case: for a child that is not claimd."""
    return {name: value for name, value in inherited.items() if not name.upper().startswith(PREFIX)}
