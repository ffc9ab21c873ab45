"""What the probes saw in the overload: how soon claimd's other addresses answered, and the gateway's memory."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from loadtest.overload.measuring import Round

_MIB: Final = 2**20
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Probed:
    """Of one address: how many looks, how long they took, how many were not answered 200."""

    looks: int
    p50_ms: float
    p99_ms: float
    failed: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the gateway, in MiB.

    Before there were connections; with all of them, at an ordinary load; at most in the first and in the second half of
    the overload; and at the end of the watch.
    """

    quiet: float
    connected: float
    first_half: float
    second_half: float
    after: float


def probed(measured: Round) -> dict[str, Probed]:
    """Of each address, the looks that began in the overload."""
    begins, ends = (measured.overload.answers.began_at + at for at in (measured.load.begins, measured.load.ends))
    found = {}
    for name, looks in measured.seen.looks.items():
        during = [(seconds, status) for at, seconds, status in looks if begins <= at < ends]
        p50, p99 = np.percentile([seconds * 1000 for seconds, _ in during] or [0.0], (50, 99))
        failed = sum(status != _OK for _, status in during)
        found[name] = Probed(len(during), float(p50), float(p99), failed)
    return found


def memory(measured: Round) -> Memory:
    """Of the gateway."""
    load, began = measured.load, measured.overload.answers.began_at
    samples = [(at - began, rss / _MIB) for at, rss in measured.seen.rss]
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
