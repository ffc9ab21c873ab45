"""Errors that end a command: each message is one line for a person, and says what to do."""


class StartError(Exception):
    """claimd cannot start. The message is one line for the operator: the reason and what to do about it."""


class CommandError(Exception):
    """Its message is one line for the person at the terminal; the command ends with `exit_code`."""

    exit_code = 1


class WrongUsage(CommandError):
    """An argument is invalid, or two contradict each other."""

    exit_code = 2
