"""Whether it is the server that writes are for, and the only one. What is written to a replica is gone with its next
synchronisation; a node of a cluster has only some of the keys, and a Sentinel has none.
"""

from collections.abc import Iterator

from claimd.doctor.facts import Facts
from claimd.doctor.findings import Finding, ok, refusal

CHECK = "role"

_NO_SERVER_OF_ITS_OWN = {
    "cluster": (
        "it is a node of a cluster, and claimd needs all of its keys on one server",
        "name a server that is in no cluster (cluster-enabled no)",
    ),
    "sentinel": (
        "it is a Sentinel, which watches servers and keeps no data",
        "name the primary that it watches: SENTINEL GET-MASTER-ADDR-BY-NAME tells its address",
    ),
}


def check_mode(facts: Facts) -> Iterator[Finding]:
    """A refusal for a node of a cluster and for a Sentinel, else nothing."""
    if facts.mode in _NO_SERVER_OF_ITS_OWN:
        yield refusal(CHECK, *_NO_SERVER_OF_ITS_OWN[facts.mode])


def check_role(facts: Facts) -> Iterator[Finding]:
    """Nothing where INFO is not permitted: then only trying tells, and a replica refuses that."""
    if facts.info is None:
        return
    if facts.info.get("role") == "master":
        yield ok(CHECK, "it is the primary")
    else:
        primary = f"{facts.info.get('master_host', '?')}:{facts.info.get('master_port', '?')}"
        yield refusal(CHECK, f"it is a replica of {primary}", "name the primary, or promote it: REPLICAOF NO ONE")
