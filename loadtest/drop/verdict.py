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
    late: list[str] = []
    slow: list[str] = []
    if report["loop"] == Pace.OPEN:
        late, slow = _lateness(report), _slowness(report)
    failed += _watching(report)
    for name, part in _parts(report):
        late += _late(f"of its requests {name}", part["late_fraction"])
        failed += _errors(name, part)
        slow += _slow(part)
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
    reasons = _late("of its requests", generator["late_fraction"])
    if generator["busiest_cpu_fraction"] > CPU_CEILING:
        reasons.append(
            f"the generator used {generator['busiest_cpu_fraction']:.0%} of a core over {CPU_WINDOW_SECONDS:g} s: "
            "it may have been late without noticing"
        )
    return reasons


def _late(which: str, fraction: float) -> list[str]:
    if fraction < LATE_FRACTION_CEILING:
        return []
    allowed = f"under {LATE_FRACTION_CEILING:.0%} is allowed"
    return [f"the generator sent {fraction:.2%} {which} late by its own doing ({allowed})"]


def _parts(report: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The parts of whole visits that are not claims; none for a drop without them."""
    named = (("of the gathering", "gathering"), ("beside the claims", "beside_drop"))
    return [(name, report[part]) for name, part in named if report[part] is not None]


def _errors(name: str, part: dict[str, Any]) -> list[str]:
    if not part["errors"]:
        return []
    kinds = ", ".join(
        f"{kind.replace('_', ' ')}: {own['errors']:,}" for kind, own in part["requests"].items() if own["errors"]
    )
    return [f"{part['errors']:,} answers {name} were not what they should be ({kinds})"]


def _watching(report: dict[str, Any]) -> list[str]:
    events = report["gathering"] and report["gathering"]["events"]
    return [f"{events['errors']:,} faults of event streams"] if events and events["errors"] else []


def _slow(part: dict[str, Any]) -> list[str]:
    """A sentence for each kind of request whose p99 is too high."""
    return [
        f"p99 of {kind.replace('_', ' ')} is {own['latency_ms']['p99']:,.0f} ms, {P99_CEILING_MS:,.0f} is the limit"
        for kind, own in part["requests"].items()
        if own["latency_ms"]["p99"] >= P99_CEILING_MS
    ]


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
