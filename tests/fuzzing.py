"""How many examples the fuzz tests try: in the suite a few hundred, the same in every run.

The variable `FUZZ=20000` makes each of them try that many, and others in each run. Hypothesis prints an example that
fails; add it to the test as an `@example`.
"""

import os

from hypothesis import HealthCheck, settings

_EXAMPLES = int(os.environ.get("FUZZ", "0"))


def tried(few: int) -> settings:
    """Settings for a `@given` test that tries `few` examples in the suite."""
    return settings(
        max_examples=_EXAMPLES or few,
        derandomize=not _EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
