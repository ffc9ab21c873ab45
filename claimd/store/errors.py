"""Errors of the store: what a caller can know of a call that failed."""


class StoreError(Exception):
    """The store did not answer as it must; what was asked of it may or may not have happened."""


class StoreUnavailable(StoreError):
    """The server is gone, stalls, or refuses to serve: the outcome is unknown, and asking again is safe."""


class StoreRejected(StoreUnavailable):
    """As unavailable, but certain: it could not be asked, or said no before it began, so nothing happened."""


class StoreDamaged(StoreUnavailable):
    """What the server keeps of one round cannot be read; the others are not affected."""
