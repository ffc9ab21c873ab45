"""Variables of the environment that look like settings and are none: a typing error must not go unnoticed."""

from claimd.doctor.findings import Finding, warning
from claimd.settings import Settings


def check_variables() -> list[Finding]:
    """Return a warning for each, without its value; none for variables that an orchestrator injects."""
    return [
        warning("settings", f"{name} is not a setting and has no effect", f"did you mean {meant}?" if meant else "")
        for name, meant in Settings.unknown_variables()
    ]
