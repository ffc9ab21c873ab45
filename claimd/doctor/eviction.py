"""Whether the server could evict claims to make room, and how much room there is.

A claim that was evicted can be granted a second time: a server with a memory limit must have the policy noeviction.
"""

from collections.abc import Iterator

from claimd.doctor.facts import Facts
from claimd.doctor.findings import Finding, blocker, ok, warning

CHECK = "memory"

# 1,500,000 claims take 150 MB: from here on an operator has to make room before the next drop.
_NEARLY_FULL = 0.9


def check_eviction(facts: Facts) -> Iterator[Finding]:
    """Yield one finding; none where INFO is not permitted, which `check_version` has reported."""
    if facts.info is None:
        return
    limit = int(facts.info.get("maxmemory", 0))
    policy = str(facts.info.get("maxmemory_policy", "noeviction"))
    if limit == 0:
        yield ok(CHECK, "nothing is evicted: there is no maxmemory")
    elif policy != "noeviction":
        yield blocker(
            CHECK,
            f"it evicts keys (maxmemory-policy {policy}), and would forget claims",
            "CONFIG SET maxmemory-policy noeviction",
        )
    else:
        yield _fill_level(int(facts.info.get("used_memory", 0)) / limit)


def _fill_level(used: float) -> Finding:
    """The finding for a server of whose memory limit this fraction is used."""
    if used < _NEARLY_FULL:
        return ok(CHECK, f"nothing is evicted (noeviction); {used:.0%} of maxmemory is used")
    return warning(
        CHECK,
        f"{min(used, 1):.0%} of maxmemory is used: once it is full, every claim is answered 503",
        "raise maxmemory: 1,500,000 claims take 150 MB",
    )
