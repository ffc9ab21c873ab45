"""Every key of the server, each with its function; nothing else spells one.

The hash tag is `{campaign.partition}`: rounds that share limits share a slot. Until campaigns exist a round is its
own campaign, partition 0.
"""

_PREFIX = "claimd:1"

ROUNDS = f"{_PREFIX}:rounds"
ROUNDS_CLOSING = f"{ROUNDS}:closing"
ROUNDS_OPENING = f"{ROUNDS}:opening"
# What gateways of version 0.1 saved: gateway -> JSON. Read, and folded into COUNTS_PAST.
METRICS = f"{_PREFIX}:metrics"
# Hash: run of a gateway -> `seen_ms:waiting`, of each that was not merged.
COUNTS_RUNS = f"{_PREFIX}:{{metrics}}:runs"
# Hash: run of a gateway -> seen_ms, of each that was merged within the last day.
COUNTS_MERGED = f"{_PREFIX}:{{metrics}}:merged"
# Hash: counter -> sum over all runs that have ended.
COUNTS_PAST = f"{_PREFIX}:{{metrics}}:past"
DOCTOR = f"{_PREFIX}:marks"
INSTALLATION = f"{_PREFIX}:installation"


def round_key(round_id: str) -> str:
    """Hash: definition, counters and flags of a round."""
    return f"{_PREFIX}:{_tag(round_id)}:round:{round_id}"


def claims_key(round_id: str) -> str:
    """Hash: identity digest (16 bytes) → `serial:claimed_at_ms`."""
    return f"{_PREFIX}:{_tag(round_id)}:claims:{round_id}"


def counts_key(run: str) -> str:
    """Hash: counter -> value, of one run of a gateway."""
    return f"{_PREFIX}:{{metrics}}:counts:{run}"


def log_key(round_id: str) -> str:
    """Stream: what happened, in order."""
    return f"{_PREFIX}:{_tag(round_id)}:log"


def _tag(round_id: str) -> str:
    return f"{{{round_id}.0}}"
