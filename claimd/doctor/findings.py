"""What the checks say: lines with a level, and together a report.

A refusal may pass by itself, as a server that is away comes back: `claimd up` stops at it all the same, a single role
starts and answers 503 until then.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from claimd.errors import StartError


class Level(StrEnum):
    """`WARNING`: a promise is weaker than it could be, or could not be checked. `REFUSAL`: one cannot be kept."""

    OK = "ok"
    WARNING = "warning"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what `check` looked at, what it found and, unless that is fine, what to do about it."""

    check: str
    level: Level
    says: str
    advice: str = ""
    may_pass: bool = False

    @property
    def sentence(self) -> str:
        """What it says and advises."""
        return f"{self.says}; {self.advice}" if self.advice else self.says


def ok(check: str, says: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, says)


def warning(check: str, says: str, advice: str) -> Finding:
    """It works, but promises less."""
    return Finding(check, Level.WARNING, says, advice)


def refusal(check: str, says: str, advice: str, *, may_pass: bool = False) -> Finding:
    """claimd must not, or cannot, run on it."""
    return Finding(check, Level.REFUSAL, says, advice, may_pass)


def tell(findings: Iterable[Finding], say: Callable[[str], None]) -> None:
    """Say each finding in a line of its own."""
    for finding in findings:
        mark = "" if finding.level is Level.OK else f"{finding.level.upper()}: "
        say(f"{finding.check:<9} {mark}{finding.sentence}")


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found about the server at `address`, which is without its password."""

    address: str
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The worst there is."""
        return max((finding.level for finding in self.findings), key=list(Level).index)

    def tell(self, say: Callable[[str], None]) -> None:
        """Say each finding in a line of its own."""
        tell(self.findings, say)

    def refuse(self, *, wait: bool) -> None:
        """Raise StartError where there is a refusal; with `wait`, only where it will not pass by itself."""
        for finding in self.findings:
            if finding.level is Level.REFUSAL and not (wait and finding.may_pass):
                raise StartError(f"the server at {self.address} cannot be used: {finding.sentence}")
