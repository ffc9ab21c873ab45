"""What keeps claimd from starting, said to the person who started it."""


class StartError(Exception):
    """Its message is one line for a person: what is in the way, and where it can be said, what to do about it."""
