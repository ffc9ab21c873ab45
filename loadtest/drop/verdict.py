"""Pass, fail or invalid, and why: the rules by which a drop is judged, in one place."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from loadtest.crowd.lateness import CPU_CEILING, CPU_WINDOW_SECONDS, LATE_FRACTION_CEILING
from loadtest.crowd.pace import Loop

# ± 3 s at 105 s, in proportion for other drops; under a second the millisecond clocks and the last batch say too much.
TOLERANCE: Final = 3 / 105
SHORTEST_TOLERANCE_SECONDS: Final = 1.0
P99_CEILING_MS: Final = 2000.0


class Verdict(StrEnum):
    """PASS: it held. FAIL: it did not. INVALID: the generator fell behind, so the figures mean nothing."""

    PASS = "pass"
    FAIL = "fail"
    INVALID = "invalid"

    @property
    def exit_code(self) -> int:
        """0, 1 and 2, as the contract has them."""
        return list(Verdict).index(self)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and a sentence for each thing that stood against a pass."""

    verdict: Verdict
    reasons: list[str]


def tolerance_seconds(seconds_target: float) -> float:
    """How far from the target the sell-out may be."""
    return max(SHORTEST_TOLERANCE_SECONDS, seconds_target * TOLERANCE)


def judge(report: dict[str, Any]) -> Judgement:
    """Judge a report by its own figures.

    A broken promise fails the drop whatever the generator did: a claim given twice is wrong at any speed.
    Only then does a late generator make everything else, good or bad, mean nothing. A closed loop has neither a pace to
    fall behind nor one to hold: there everything is meant to be busy, and waiting is what the crowd does.
    """
    broken, wrong = _broken_promises(report), _went_wrong(report)
    late, slow = [], []
    if report["loop"] == Loop.OPEN:
        late, slow = _generator_fell_behind(report), _did_not_keep_pace(report)
    if broken:
        return Judgement(Verdict.FAIL, broken + late + wrong + slow)
    if late:
        return Judgement(Verdict.INVALID, late + wrong + slow)
    return Judgement(Verdict.FAIL, wrong + slow) if wrong or slow else Judgement(Verdict.PASS, [])


def _broken_promises(report: dict[str, Any]) -> list[str]:
    reasons = []
    if not report["audit"].get("ok"):
        reasons.append(f"claimd's own audit is not ok: {report['audit'].get('error', 'see its figures')}")
    recount = report["recount"]
    if not recount.get("ok"):
        found = recount.get("violations") or {}
        told = ", ".join(f"{name.replace('_', ' ')}: {count:,}" for name, count in found.items())
        reasons.append(f"the recount disagrees: {told or recount.get('error', 'it could not be made')}")
    return reasons


def _generator_fell_behind(report: dict[str, Any]) -> list[str]:
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
            "it had no time left to notice being late"
        )
    return reasons


def _went_wrong(report: dict[str, Any]) -> list[str]:
    reasons = []
    if report["seconds_to_sellout"] is None:
        reasons.append(f"not sold out: {report['granted']:,} of {report['pool']:,} packs were granted")
    if report["errors"]:
        worst = next(iter(report["error_texts"]), "")
        reasons.append(f"{report['errors']:,} answers were not what they should be, such as: {worst}")
    return reasons


def _did_not_keep_pace(report: dict[str, Any]) -> list[str]:
    reasons = []
    target, took = report["seconds_target"], report["seconds_to_sellout"]
    if took is not None and abs(took - target) > tolerance_seconds(target):
        reasons.append(f"sold out in {took:.2f} s, not within {target:g} ± {tolerance_seconds(target):.2g} s")
    if report["latency_ms"]["p99"] >= P99_CEILING_MS:
        reasons.append(f"p99 is {report['latency_ms']['p99']:,.0f} ms, {P99_CEILING_MS:,.0f} is the limit")
    return reasons
