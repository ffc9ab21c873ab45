"""The rules by which a drop is judged: pass, fail or invalid, and the reasons."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from loadtest.crowd.lateness import CPU_CEILING, CPU_WINDOW_SECONDS, LATE_FRACTION_CEILING
from loadtest.crowd.pace import Pace

# ± 3 s at 105 s, in proportion for other drops; under a second, clocks in ms and the last batch weigh too much.
TOLERANCE: Final = 3 / 105
SHORTEST_TOLERANCE_SECONDS: Final = 1.0
P99_CEILING_MS: Final = 2000.0


class Verdict(StrEnum):
    """PASS: every rule held. FAIL: one did not. INVALID: the generator fell behind, so the figures mean nothing."""

    PASS = "pass"
    FAIL = "fail"
    INVALID = "invalid"

    @property
    def exit_code(self) -> int:
        """The exit code of the commands that run a drop."""
        return _EXIT_CODES[self]


_EXIT_CODES: Final = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INVALID: 2}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and a sentence for each broken rule; none with a pass."""

    verdict: Verdict
    reasons: list[str]


def tolerance_seconds(seconds_target: float) -> float:
    """The seconds by which the sell-out may miss a target, either way."""
    return max(SHORTEST_TOLERANCE_SECONDS, seconds_target * TOLERANCE)


def judge(report: dict[str, Any]) -> Judgement:
    """Judge a report by its own figures.

    An inconsistency fails the drop whatever the generator did: a claim granted twice is wrong at any speed. Otherwise a
    late generator makes the drop invalid, however good or bad the other figures are. A closed loop has no schedule, so
    neither lateness nor latency is judged there.
    """
    inconsistent, failed = _inconsistencies(report), _failures(report)
    late, slow = [], []
    if report["loop"] == Pace.OPEN:
        late, slow = _lateness(report), _slowness(report)
    if inconsistent:
        return Judgement(Verdict.FAIL, inconsistent + late + failed + slow)
    if late:
        return Judgement(Verdict.INVALID, late + failed + slow)
    return Judgement(Verdict.FAIL, failed + slow) if failed or slow else Judgement(Verdict.PASS, [])


def _inconsistencies(report: dict[str, Any]) -> list[str]:
    reasons = []
    if not report["audit"].get("ok"):
        reasons.append(f"claimd's own audit is not ok: {report['audit'].get('error', 'see its figures')}")
    recount = report["recount"]
    if not recount.get("ok"):
        found = recount.get("violations") or {}
        counts = ", ".join(f"{name.replace('_', ' ')}: {count:,}" for name, count in found.items())
        reasons.append(f"the recount disagrees: {counts or recount.get('error', 'it could not be made')}")
    return reasons


def _lateness(report: dict[str, Any]) -> list[str]:
    generator = report["generator"]
    reasons = []
    if generator["late_fraction"] >= LATE_FRACTION_CEILING:
        reasons.append(
            f"the generator sent {generator['late_fraction']:.2%} of its requests late by its own doing "
            f"(under {LATE_FRACTION_CEILING:.0%} is allowed)"
        )
    if generator["busiest_cpu_fraction"] > CPU_CEILING:
        reasons.append(
            f"the generator used {generator['busiest_cpu_fraction']:.0%} of a core over {CPU_WINDOW_SECONDS:g} s: "
            "it may have been late without noticing"
        )
    return reasons


def _failures(report: dict[str, Any]) -> list[str]:
    reasons = []
    if report["seconds_to_sellout"] is None:
        reasons.append(f"not sold out: {report['granted']:,} of {report['pool']:,} packs were granted")
    if report["errors"]:
        worst = next(iter(report["error_texts"]), "")
        reasons.append(f"{report['errors']:,} answers were not what they should be, such as: {worst}")
    return reasons


def _slowness(report: dict[str, Any]) -> list[str]:
    reasons = []
    target, took = report["seconds_target"], report["seconds_to_sellout"]
    if took is not None and abs(took - target) > tolerance_seconds(target):
        reasons.append(f"sold out in {took:.2f} s, not within {target:g} ± {tolerance_seconds(target):.2g} s")
    if report["latency_ms"]["p99"] >= P99_CEILING_MS:
        reasons.append(f"p99 is {report['latency_ms']['p99']:,.0f} ms, {P99_CEILING_MS:,.0f} is the limit")
    return reasons
