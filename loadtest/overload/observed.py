"""The probes' measurements in the overload: the latency of claimd's other addresses, and the gateway's memory."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from loadtest.overload.measuring import Round

_MIB: Final = 2**20
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Probed:
    """One address: the number of probe requests, their latency, and how many were not answered 200."""

    looks: int
    p50_ms: float
    p99_ms: float
    failed: int


@dataclass(frozen=True, slots=True)
class Memory:
    """The gateway's resident memory in MiB.

    `quiet` is before there were connections, `connected` the most at the first ordinary load, `first_half` and
    `second_half` the most in the halves of the overload, `after` the last sample.
    """

    quiet: float
    connected: float
    first_half: float
    second_half: float
    after: float


def probed(measured: Round) -> dict[str, Probed]:
    """Return the figures of each address, from the probe requests that were sent in the overload."""
    begins, ends = (measured.overload.rows.began_at + at for at in (measured.load.begins, measured.load.ends))
    found = {}
    for name, samples in measured.probes.samples.items():
        during = [(seconds, status) for at, seconds, status in samples if begins <= at < ends]
        p50, p99 = np.percentile([seconds * 1000 for seconds, _ in during] or [0.0], (50, 99))
        failed = sum(status != _OK for _, status in during)
        found[name] = Probed(len(during), float(p50), float(p99), failed)
    return found


def memory(measured: Round) -> Memory:
    """Return the memory of the gateway."""
    load, began = measured.load, measured.overload.rows.began_at
    samples = [(at - began, rss / _MIB) for at, rss in measured.probes.rss]
    middle = (load.begins + load.ends) / 2

    def most(begin: float, end: float) -> float:
        return max((rss for at, rss in samples if begin <= at < end), default=0.0)

    return Memory(
        quiet=measured.quiet_rss / _MIB,
        connected=most(0.0, load.begins),
        first_half=most(load.begins, middle),
        second_half=most(middle, load.ends),
        after=samples[-1][1] if samples else 0.0,
    )
