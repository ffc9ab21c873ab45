"""Whether it is the server that writes are for. What is written to a replica is gone with its next synchronisation."""

from collections.abc import Iterator

from claimd.processes.checks.facts import Facts
from claimd.processes.checks.findings import Finding, ok, refusal

CHECK = "role"


def check_role(facts: Facts) -> Iterator[Finding]:
    """Nothing where INFO is not permitted: then only trying tells, and a replica refuses that."""
    if facts.info is None:
        return
    if facts.info.get("role") == "master":
        yield ok(CHECK, "it is the primary")
    else:
        primary = f"{facts.info.get('master_host', '?')}:{facts.info.get('master_port', '?')}"
        yield refusal(CHECK, f"it is a replica of {primary}", "name the primary, or promote it: REPLICAOF NO ONE")
