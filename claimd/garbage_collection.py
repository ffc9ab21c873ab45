"""Python's garbage collector in a gateway: claims make no reference cycles, so it rarely has to run.

Reference counting frees nearly everything that a claim allocates. By default a collection runs after every 700
allocations that were not freed, which is every few dozen claims in flight, and finds hardly anything.
"""

import gc

_YOUNG_OBJECTS = 50_000
_YOUNG_COLLECTIONS = 20
_MIDDLE_COLLECTIONS = 100


def collect_rarely() -> None:
    """Exempt all objects that exist now from collections, and make those of new objects rare. Call it at the start."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_COLLECTIONS, _MIDDLE_COLLECTIONS)
