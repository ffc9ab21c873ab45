"""Failures of a command that are expected, with one line for the user."""


class CommandError(Exception):
    """Its message is one line for the person at the terminal; the command ends with `exit_code`."""

    exit_code = 1


class WrongUsage(CommandError):
    """An argument is invalid, or two contradict each other."""

    exit_code = 2
