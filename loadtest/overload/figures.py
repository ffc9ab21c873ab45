"""What one round says of claims: grants, refusals, lateness, and how soon all was as before."""

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
# What a busy machine makes of an ordinary load's median, from one tenth of a second to the next.
_AS_BEFORE: Final = 2.0

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Latency:
    """Of some answers, in ms; zeros where there are none."""

    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one round. Rates leave out the overload's first second, in which the queue fills.

    `late` and `starved` are shares of what was due in the overload: sent more than 10 ms late, and sent so late as no
    connection was free. `longest_gap_ms` passed without a grant. `recovery_seconds`: from the overload's end until the
    claims of an ordinary load were all granted, and as soon as before; None where that was not seen. CPU is in cores.
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
        """For the file of figures."""
        return asdict(self)


def figures(measured: Round) -> Figures:
    """Of a round."""
    load, answers = measured.load, measured.overload.answers
    begin, end = load.begins + SETTLE_SECONDS, load.ends
    overload = (answers.due >= load.begins) & (answers.due < load.ends)
    granted, refused = answers.answer == Answer.GRANTED, answers.answer == Answer.OVERLOADED
    since_due, since_sent = answers.answered - answers.due, answers.answered - answers.sent
    late = answers.sent - answers.due > LATE_SECONDS
    took = float(answers.answered.max(initial=1.0))
    granted_per_second = per_second(answers, begin, end)
    return Figures(
        capacity_per_second=measured.capacity_per_second,
        offered_per_second=load.offered,
        sent_per_second=_rate(answers.sent, begin, end),
        granted_per_second=granted_per_second,
        share_of_capacity=granted_per_second / max(measured.capacity_per_second, 1.0),
        refused_per_second=_rate(answers.answered[refused], begin, end),
        unavailable=int(np.count_nonzero(answers.answer == Answer.UNAVAILABLE)),
        wrong=_wrong(answers) + _wrong(measured.capacity.answers),
        grants=_latency(since_due[overload & granted]),
        ordinary_grants=_latency(since_due[granted & (answers.due < load.begins)]),
        refusals=_latency(since_due[overload & refused]),
        refusals_since_sent=_latency(since_sent[overload & refused]),
        longest_gap_ms=_longest_gap_ms(answers, begin, end),
        late=_share(late, overload),
        starved=_share(late & (answers.starved > 0), overload),
        generator_cpu=answers.cpu_fraction,
        gateway_cpu=measured.overload.cpu["gateway"] / took,
        server_cpu=measured.overload.cpu["server"] / took,
        probes=observed.probed(measured),
        memory=observed.memory(measured),
        recovery_seconds=_recovery_seconds(answers, load),
        granted_each_step=_each_step(answers.answered[granted]),
        refused_each_step=_each_step(answers.answered[refused]),
    )


def _wrong(answers: LoadRows) -> int:
    """What was answered neither "yours" nor "ask again"."""
    return int(np.count_nonzero(~is_one_of(answers.answer, (Answer.GRANTED, Answer.OVERLOADED, Answer.UNAVAILABLE))))


def _latency(seconds: Floats) -> Latency:
    if not len(seconds):
        return Latency(0.0, 0.0, 0.0)
    return Latency(*(float(value) * 1000 for value in np.percentile(seconds, (50, 99, 100))))


def _rate(moments: Floats, begin: float, end: float) -> float:
    return float(np.count_nonzero((moments >= begin) & (moments < end)) / (end - begin))


def _share(mask: Mask, among: Mask) -> float:
    return float(np.mean(mask[among])) if among.any() else 0.0


def _longest_gap_ms(answers: LoadRows, begin: float, end: float) -> float:
    granted = answers.granted_at()
    within = granted[(granted >= begin) & (granted < end)]
    return float(np.diff(within, prepend=begin, append=end).max() * 1000)


def _each_step(moments: Floats) -> list[int]:
    steps = (moments / STEP_SECONDS).astype(np.int64)
    return [int(count) for count in np.bincount(steps)]


def _recovery_seconds(answers: LoadRows, load: Load) -> float | None:
    """Step by step of when claims were due, after the overload: the end of the last step that was not as before."""
    since_due, granted = answers.answered - answers.due, answers.answer == Answer.GRANTED
    ordinary = since_due[granted & (answers.due < load.begins)]
    if not len(ordinary):
        return None
    quick = float(np.median(ordinary)) * _AS_BEFORE
    after = answers.due >= load.ends
    steps = ((answers.due[after] - load.ends) / STEP_SECONDS).astype(np.int64)
    recovered = 0
    for step in range(int(steps.max(initial=-1)) + 1):
        here = steps == step
        if here.any() and not (granted[after][here].all() and np.median(since_due[after][here]) <= quick):
            recovered = step + 1
    return recovered * STEP_SECONDS if recovered <= steps.max(initial=-1) else None
