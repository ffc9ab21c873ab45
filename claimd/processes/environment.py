"""Settings as a child's environment. Never as its arguments: those can be read by every user of the machine."""

from collections.abc import Mapping

from pydantic import SecretStr

from claimd.settings import Settings


def child_environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """`inherited`, with every `CLAIMD_…` variable as these settings have it, and none that they do not have."""
    environment = {name: value for name, value in inherited.items() if not name.upper().startswith("CLAIMD_")}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is not None:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            environment[f"CLAIMD_{name.upper()}"] = str(plain)
    return environment
