"""Whether the server's clock and this machine's agree: a round's window follows the one, a pass's life the other."""

from collections.abc import Iterator

from claimd.doctor.facts import Facts
from claimd.doctor.findings import Finding, ok, warning

CHECK = "clock"

_MOST_SECONDS = 1.0


def check_clock(facts: Facts) -> Iterator[Finding]:
    """Warns where they differ by more than a second for certain."""
    if facts.clock is None:
        yield warning(CHECK, "it could not be compared: TIME is not permitted", "permit it to claimd's user: +time")
        return
    ahead = facts.clock.ahead_seconds
    if abs(ahead) - facts.clock.uncertainty_seconds <= _MOST_SECONDS:
        yield ok(CHECK, f"it agrees with this machine's to {max(abs(ahead), 0.001):.3f} s")
        return
    yield warning(
        CHECK,
        f"it is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's: "
        "rounds open and close by the server's, passes expire by the gateway's",
        "have both follow the same time servers",
    )
