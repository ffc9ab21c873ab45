"""Every key of the server, each with its function; nothing else spells one.

The hash tag is `{campaign.partition}`: rounds that share limits share a slot. Until campaigns exist a round is its
own campaign, partition 0.
"""

_PREFIX = "claimd:1"

ROUNDS = f"{_PREFIX}:rounds"
METRICS = f"{_PREFIX}:metrics"
MARKS = f"{_PREFIX}:marks"
INSTALLATION = f"{_PREFIX}:installation"


def round_key(round_id: str) -> str:
    """Hash: definition, counters and flags of a round."""
    return f"{_PREFIX}:{_tag(round_id)}:round:{round_id}"


def claims_key(round_id: str) -> str:
    """Hash: identity digest (16 bytes) → `serial:claimed_at_ms`."""
    return f"{_PREFIX}:{_tag(round_id)}:claims:{round_id}"


def log_key(round_id: str) -> str:
    """Stream: what happened, in order."""
    return f"{_PREFIX}:{_tag(round_id)}:log"


def _tag(round_id: str) -> str:
    return f"{{{round_id}.0}}"
