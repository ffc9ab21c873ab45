"""The figures of one round: grants, rejections, lateness, and the time until an ordinary load is served as before."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from loadtest.client.answers import Answer, is_one_of
from loadtest.client.flood import Floats, LoadRows
from loadtest.crowd.lateness import LATE_SECONDS
from loadtest.overload import observed
from loadtest.overload.measuring import SETTLE_SECONDS, Load, Round, per_second

STEP_SECONDS: Final = 0.1
# By this factor the median latency of an ordinary load varies on a busy machine, from one step to the next.
_AS_BEFORE: Final = 2.0

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Latency:
    """Latencies of some answers in ms; zeros without any."""

    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one round. Rates leave out the first second of the overload, in which the queue fills.

    `refused_per_second` counts `503 overloaded`, `unavailable` is a number of `503 unavailable`, `wrong` of all other
    answers but 201. `late` and `starved` are shares of the requests due in the overload: sent more than 10 ms late, and
    late for want of a free connection. `longest_gap_ms` passed without a grant. `recovery_seconds` is from the end of
    the overload until all claims of an ordinary load were granted, as fast as before; None if that was not reached.
    CPU is in cores.
    """

    capacity_per_second: float
    offered_per_second: float
    sent_per_second: float
    granted_per_second: float
    share_of_capacity: float
    refused_per_second: float
    unavailable: int
    wrong: int
    grants: Latency
    ordinary_grants: Latency
    refusals: Latency
    refusals_since_sent: Latency
    longest_gap_ms: float
    late: float
    starved: float
    generator_cpu: float
    gateway_cpu: float
    server_cpu: float
    probes: dict[str, observed.Probed]
    memory: observed.Memory
    recovery_seconds: float | None
    granted_each_step: list[int]
    refused_each_step: list[int]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as `overload.json` has them."""
        return asdict(self)


def figures(measured: Round) -> Figures:
    """Compute the figures of a round."""
    load, rows = measured.load, measured.overload.rows
    begin, end = load.begins + SETTLE_SECONDS, load.ends
    overload = (rows.due >= load.begins) & (rows.due < load.ends)
    granted, refused = rows.answer == Answer.GRANTED, rows.answer == Answer.OVERLOADED
    since_due, since_sent = rows.answered - rows.due, rows.answered - rows.sent
    late = rows.sent - rows.due > LATE_SECONDS
    took = float(rows.answered.max(initial=1.0))
    granted_per_second = per_second(rows, begin, end)
    return Figures(
        capacity_per_second=measured.capacity_per_second,
        offered_per_second=load.offered,
        sent_per_second=_rate(rows.sent, begin, end),
        granted_per_second=granted_per_second,
        share_of_capacity=granted_per_second / max(measured.capacity_per_second, 1.0),
        refused_per_second=_rate(rows.answered[refused], begin, end),
        unavailable=int(np.count_nonzero(rows.answer == Answer.UNAVAILABLE)),
        wrong=_wrong(rows) + _wrong(measured.capacity.rows),
        grants=_latency(since_due[overload & granted]),
        ordinary_grants=_latency(since_due[granted & (rows.due < load.begins)]),
        refusals=_latency(since_due[overload & refused]),
        refusals_since_sent=_latency(since_sent[overload & refused]),
        longest_gap_ms=_longest_gap_ms(rows, begin, end),
        late=_share(late, overload),
        starved=_share(late & (rows.starved > 0), overload),
        generator_cpu=rows.cpu_fraction,
        gateway_cpu=measured.overload.cpu["gateway"] / took,
        server_cpu=measured.overload.cpu["server"] / took,
        probes=observed.probed(measured),
        memory=observed.memory(measured),
        recovery_seconds=_recovery_seconds(rows, load),
        granted_each_step=_each_step(rows.answered[granted]),
        refused_each_step=_each_step(rows.answered[refused]),
    )


def _wrong(rows: LoadRows) -> int:
    """Count the answers that an overload may not cause: other than 201 and 503."""
    return int(np.count_nonzero(~is_one_of(rows.answer, (Answer.GRANTED, Answer.OVERLOADED, Answer.UNAVAILABLE))))


def _latency(seconds: Floats) -> Latency:
    if not len(seconds):
        return Latency(0.0, 0.0, 0.0)
    return Latency(*(float(value) * 1000 for value in np.percentile(seconds, (50, 99, 100))))


def _rate(moments: Floats, begin: float, end: float) -> float:
    return float(np.count_nonzero((moments >= begin) & (moments < end)) / (end - begin))


def _share(mask: Mask, among: Mask) -> float:
    return float(np.mean(mask[among])) if among.any() else 0.0


def _longest_gap_ms(rows: LoadRows, begin: float, end: float) -> float:
    granted = rows.granted_at()
    within = granted[(granted >= begin) & (granted < end)]
    return float(np.diff(within, prepend=begin, append=end).max() * 1000)


def _each_step(moments: Floats) -> list[int]:
    steps = (moments / STEP_SECONDS).astype(np.int64)
    return [int(count) for count in np.bincount(steps)]


def _recovery_seconds(rows: LoadRows, load: Load) -> float | None:
    """Return when the last step after the overload ended that was not served as before; None if it was the last one.

    Steps are tenths of a second of the moments at which claims were due.
    """
    since_due, granted = rows.answered - rows.due, rows.answer == Answer.GRANTED
    ordinary = since_due[granted & (rows.due < load.begins)]
    if not len(ordinary):
        return None
    quick = float(np.median(ordinary)) * _AS_BEFORE
    after = rows.due >= load.ends
    steps = ((rows.due[after] - load.ends) / STEP_SECONDS).astype(np.int64)
    recovered = 0
    for step in range(int(steps.max(initial=-1)) + 1):
        here = steps == step
        if here.any() and not (granted[after][here].all() and np.median(since_due[after][here]) <= quick):
            recovered = step + 1
    return recovered * STEP_SECONDS if recovered <= steps.max(initial=-1) else None
