"""Every key of the server, each with its function; nothing else spells one.

A round's keys have the hash tag of its partition, `{campaign.number}`, so that one script can use all of them on a
cluster. Until campaigns exist, each round is a campaign of its own with one partition, number 0.
"""

from functools import lru_cache
from typing import NamedTuple

_PREFIX = "claimd:1"

ROUNDS = f"{_PREFIX}:rounds"
ROUNDS_CLOSING = f"{ROUNDS}:closing"
ROUNDS_OPENING = f"{ROUNDS}:opening"
# What gateways of builds before 0.1.0 saved: gateway -> JSON. Read, and folded into COUNTS_PAST.
METRICS = f"{_PREFIX}:metrics"
# Hash: run of a gateway -> `seen_ms:waiting`, of each that was not merged.
COUNTS_RUNS = f"{_PREFIX}:{{metrics}}:runs"
# Hash: run of a gateway -> seen_ms, of each that was merged within the last day.
COUNTS_MERGED = f"{_PREFIX}:{{metrics}}:merged"
# Hash: counter -> sum over all runs that have ended.
COUNTS_PAST = f"{_PREFIX}:{{metrics}}:past"
DOCTOR = f"{_PREFIX}:marks"
INSTALLATION = f"{_PREFIX}:installation"


class Partition(NamedTuple):
    """Rounds whose keys are in one slot of a cluster: a part of a campaign, or a round without a campaign."""

    campaign: str
    number: int = 0

    @classmethod
    def of_round(cls, round_id: str) -> "Partition":
        """The partition of a round without a campaign."""
        return cls(round_id)

    @property
    def tag(self) -> str:
        """The hash tag, braces included."""
        return f"{{{self.campaign}.{self.number}}}"


class RoundKeys(NamedTuple):
    """The keys of one round."""

    round: str
    claims: str
    log: str
    voids: str

    @property
    def of_claims(self) -> tuple[str, str, str]:
        """The keys that claim.lua takes, in its sequence."""
        return self.round, self.claims, self.log


# Every batch asks for the keys of one of few rounds; to spell them takes 1.7 µs.
@lru_cache(maxsize=1024)
def of_round(round_id: str) -> RoundKeys:
    """The keys of a round without a campaign."""
    partition = Partition.of_round(round_id)
    return RoundKeys(
        round_key(partition, round_id),
        claims_key(partition, round_id),
        log_key(partition),
        voids_key(partition, round_id),
    )


def round_key(partition: Partition, round_id: str) -> str:
    """Hash: definition, counters and flags of a round."""
    return f"{_PREFIX}:{partition.tag}:round:{round_id}"


def claims_key(partition: Partition, round_id: str) -> str:
    """Hash: identity digest (16 bytes) -> `serial:claimed_at_ms`, or `0:voided_at_ms` of one that is barred."""
    return f"{_PREFIX}:{partition.tag}:claims:{round_id}"


def voids_key(partition: Partition, round_id: str) -> str:
    """Hash: serial -> identity digest (16 bytes), then `claimed_at_ms:voided_at_ms:barred`, of each voided claim."""
    return f"{_PREFIX}:{partition.tag}:voids:{round_id}"


def log_key(partition: Partition) -> str:
    """Stream: the grants, edits and voids of all rounds of a partition, in order."""
    return f"{_PREFIX}:{partition.tag}:log"


def counts_key(run: str) -> str:
    """Hash: counter -> value, of one run of a gateway."""
    return f"{_PREFIX}:{{metrics}}:counts:{run}"
