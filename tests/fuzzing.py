"""How much is tried of what cannot be tried in full: in the suite a little, and always the same.

`FUZZ=20000` tries as many examples of each, and others every time. What fails is printed, to become an `@example`.
"""

import os

from hypothesis import HealthCheck, settings

_EXAMPLES = int(os.environ.get("FUZZ", "0"))


def tried(few: int) -> settings:
    """For `@given`: `few` examples in the suite."""
    return settings(
        max_examples=_EXAMPLES or few,
        derandomize=not _EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
