"""What a command could not do."""


class CommandError(Exception):
    """Its message is one line for the person at the terminal; the command ends with exit code 1."""
