"""Which acknowledged claims survive a crash of the server process or of its machine."""

from collections.abc import Iterator, Mapping
from typing import Any

from claimd.doctor.facts import Facts
from claimd.doctor.findings import Finding, ok, warning

CHECK = "durable"


def check_durability(facts: Facts) -> Iterator[Finding]:
    """Yield one finding on the append-only file and on when it is synced, which only CONFIG GET reveals."""
    if _has_append_only_file(facts) is False:
        yield warning(
            CHECK,
            "it has no append-only file: grants since its last snapshot are lost when it dies (appendonly no)",
            "CONFIG SET appendonly yes, and appendfsync always",
        )
    elif facts.configuration is None:
        yield warning(
            CHECK,
            "what it keeps through a crash could not be checked: CONFIG GET is not permitted",
            "make sure that its configuration has appendonly yes and appendfsync always",
        )
    else:
        yield from _check_fsync(facts.configuration)


def _has_append_only_file(facts: Facts) -> bool | None:
    """Whether the server keeps an append-only file; None where neither CONFIG GET nor INFO is permitted."""
    if facts.configuration is not None and "appendonly" in facts.configuration:
        return bool(facts.configuration["appendonly"] == "yes")
    if facts.info is not None and "aof_enabled" in facts.info:
        return bool(facts.info["aof_enabled"])
    return None


def _check_fsync(configuration: Mapping[Any, Any]) -> Iterator[Finding]:
    policy = configuration.get("appendfsync")
    if policy == "always" and configuration.get("no-appendfsync-on-rewrite") == "yes":
        yield warning(
            CHECK,
            "grants are on disk before they are acknowledged, but not while it rewrites its file: those are lost when "
            "its machine dies (no-appendfsync-on-rewrite yes)",
            "CONFIG SET no-appendfsync-on-rewrite no",
        )
    elif policy == "always":
        yield ok(CHECK, "every grant is on disk before it is acknowledged (appendfsync always)")
    else:
        lost = "the last second or two are" if policy == "everysec" else "the last half minute may be"
        yield warning(
            CHECK,
            f"grants of {lost} lost when its machine dies (appendfsync {policy})",
            "CONFIG SET appendfsync always",
        )
