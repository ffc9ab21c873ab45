"""Errors of the store: what a caller knows about a call that has failed."""


class StoreError(Exception):
    """A call of the store has failed; it may or may not have been executed."""


class StoreUnavailable(StoreError):
    """The server is gone, stalls, or rejects the call: the outcome is unknown, and a retry of a claim is safe."""


class StoreRejected(StoreUnavailable):
    """The call was certainly not executed: it could not be sent, or the server rejected it before it began."""


class StoreDamaged(StoreUnavailable):
    """The data of one round on the server cannot be read; other rounds are not affected."""
