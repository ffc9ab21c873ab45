"""What the checks find: findings with a level each, and all of them together as a report on one server.

Some blockers pass without an operator, such as a server that is down and comes back. `claimd up` stops at every
blocker; a role that runs alone starts at those that may pass, and answers claims with 503 until they have.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from claimd.errors import StartError


class Level(StrEnum):
    """How much a finding matters.

    `WARNING`: claimd works, but a promise is weaker than it could be, or could not be checked. `BLOCKER`: a promise
    cannot be kept. The values are printed, and are part of `claimd doctor --json`.
    """

    OK = "ok"
    WARNING = "warning"
    BLOCKER = "refusal"


_SEVERITY = {Level.OK: 0, Level.WARNING: 1, Level.BLOCKER: 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: the name of the check, what it found and, unless that is fine, what to do about it.

    `may_pass`: a blocker that may go away without a change to the server.
    """

    check: str
    level: Level
    message: str
    advice: str = ""
    may_pass: bool = False

    @property
    def sentence(self) -> str:
        """The message and the advice in one line."""
        return f"{self.message}; {self.advice}" if self.advice else self.message


def ok(check: str, message: str) -> Finding:
    """A finding of level OK, which needs no advice."""
    return Finding(check, Level.OK, message)


def warning(check: str, message: str, advice: str) -> Finding:
    """A finding with which claimd works and promises less."""
    return Finding(check, Level.WARNING, message, advice)


def blocker(check: str, message: str, advice: str, *, may_pass: bool = False) -> Finding:
    """A finding with which claimd must not, or cannot, run."""
    return Finding(check, Level.BLOCKER, message, advice, may_pass)


def report_findings(findings: Iterable[Finding], print_line: Callable[[str], None]) -> None:
    """Print each finding as one line: its check, its level unless that is fine, its sentence."""
    for finding in findings:
        level = "" if finding.level is Level.OK else f"{finding.level.upper()}: "
        print_line(f"{finding.check:<9} {level}{finding.sentence}")


@dataclass(frozen=True, slots=True)
class Report:
    """All findings about the server at `address`, which is shown without its password."""

    address: str
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The most severe level of all findings."""
        return max((finding.level for finding in self.findings), key=_SEVERITY.__getitem__)

    def raise_for_blockers(self, *, wait: bool) -> None:
        """Raise StartError for the first blocker; with `wait`, only for one that will not pass."""
        for finding in self.findings:
            if finding.level is Level.BLOCKER and not (wait and finding.may_pass):
                raise StartError(f"the server at {self.address} cannot be used: {finding.sentence}")
