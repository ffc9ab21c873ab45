"""Settings as a child's environment. Never as its arguments: those can be read by every user of the machine.

Each child is told the secrets it needs and no other: a gateway that is broken into does not hold the admin token.
"""

from collections.abc import Mapping

from pydantic import SecretStr

from claimd.settings import Settings


def child_environment(settings: Settings, inherited: Mapping[str, str], *, without: str) -> dict[str, str]:
    """`inherited`, with every `CLAIMD_…` variable as these settings have it, and none that they do not have.

    `without` names the secret that is none of the child's business.
    """
    environment = without_settings(inherited)
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is not None and name != without:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            environment[f"CLAIMD_{name.upper()}"] = str(plain)
    return environment


def without_settings(inherited: Mapping[str, str]) -> dict[str, str]:
    """`inherited` for a child that is not claimd: nothing of claimd's in it."""
    return {name: value for name, value in inherited.items() if not name.upper().startswith("CLAIMD_")}
