"""The error that ends a start."""


class StartError(Exception):
    """claimd cannot start. The message is one line for the operator: the reason and what to do about it."""
