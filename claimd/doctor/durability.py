"""What of an answered claim survives the death of the server or of its machine."""

from collections.abc import Iterator, Mapping
from typing import Any

from claimd.doctor.facts import Facts
from claimd.doctor.findings import Finding, ok, warning

CHECK = "durable"


def check_durability(facts: Facts) -> Iterator[Finding]:
    """Its append-only file, and when that is on disk. Only CONFIG tells the latter."""
    if _appends(facts) is False:
        yield warning(
            CHECK,
            "it has no append-only file: grants since its last snapshot are lost when it dies (appendonly no)",
            "CONFIG SET appendonly yes, and appendfsync always",
        )
    elif facts.configuration is None:
        yield warning(
            CHECK,
            "what it keeps through a crash could not be checked: CONFIG GET is not permitted",
            "see that it says appendonly yes and appendfsync always",
        )
    else:
        yield from _fsync(facts.configuration)


def _appends(facts: Facts) -> bool | None:
    if facts.configuration is not None and "appendonly" in facts.configuration:
        return bool(facts.configuration["appendonly"] == "yes")
    if facts.info is not None and "aof_enabled" in facts.info:
        return bool(facts.info["aof_enabled"])
    return None


def _fsync(configuration: Mapping[Any, Any]) -> Iterator[Finding]:
    policy = configuration.get("appendfsync")
    if policy == "always" and configuration.get("no-appendfsync-on-rewrite") == "yes":
        yield warning(
            CHECK,
            "grants are on disk before they are told, but not while it rewrites its file: those are lost when its "
            "machine dies (no-appendfsync-on-rewrite yes)",
            "CONFIG SET no-appendfsync-on-rewrite no",
        )
    elif policy == "always":
        yield ok(CHECK, "every grant is on disk before it is told (appendfsync always)")
    else:
        lost = "the last second or two are" if policy == "everysec" else "the last half minute may be"
        yield warning(
            CHECK,
            f"grants of {lost} lost when its machine dies (appendfsync {policy})",
            "CONFIG SET appendfsync always",
        )
