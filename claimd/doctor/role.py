"""Whether the server is a primary that has all of the keys.

What is written to a replica is gone with its next synchronisation; a node of a cluster has only some of the keys, and a
Sentinel has none.
"""

from collections.abc import Iterator

from claimd.doctor.facts import Facts
from claimd.doctor.findings import Finding, blocker, ok

CHECK = "role"

_UNUSABLE_MODES = {
    "cluster": (
        "it is a node of a cluster, and claimd needs all of its keys on one server",
        "name a server that is in no cluster (cluster-enabled no)",
    ),
    "sentinel": (
        "it is a Sentinel, which watches servers and keeps no data",
        "name it, and others, as redis+sentinel://host:port,host:port/service: claimd follows the primary then",
    ),
}


def check_mode(facts: Facts) -> Iterator[Finding]:
    """Yield a blocker for a node of a cluster and for a Sentinel, else nothing."""
    if facts.mode in _UNUSABLE_MODES:
        yield blocker(CHECK, *_UNUSABLE_MODES[facts.mode])


def check_role(facts: Facts) -> Iterator[Finding]:
    """Yield one finding; none where INFO is not permitted: then `check_permissions` meets the replica's rejection."""
    if facts.info is None:
        return
    if facts.info.get("role") == "master":
        yield ok(CHECK, "it is the primary")
    else:
        primary = f"{facts.info.get('master_host', '?')}:{facts.info.get('master_port', '?')}"
        yield blocker(CHECK, f"it is a replica of {primary}", "name the primary, or promote it: REPLICAOF NO ONE")
