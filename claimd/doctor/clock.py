"""Whether the server's clock and this machine's agree.

The server's clock decides whether a round is open, the gateway's whether a pass has expired.
"""

from collections.abc import Iterator

from claimd.doctor.facts import Facts
from claimd.doctor.findings import Finding, ok, warning

CHECK = "clock"

_MAX_DIFFERENCE_SECONDS = 1.0


def check_clock(facts: Facts) -> Iterator[Finding]:
    """Yield one finding: a warning if the clocks certainly differ by more than a second."""
    if facts.clock is None:
        yield warning(CHECK, "it could not be compared: TIME is not permitted", "permit it to claimd's user: +time")
        return
    ahead = facts.clock.ahead_seconds
    if abs(ahead) - facts.clock.uncertainty_seconds <= _MAX_DIFFERENCE_SECONDS:
        yield ok(CHECK, f"it agrees with this machine's to {max(abs(ahead), 0.001):.3f} s")
        return
    yield warning(
        CHECK,
        f"it is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's: "
        "rounds open and close by the server's, passes expire by the gateway's",
        "synchronise both with the same time servers",
    )
