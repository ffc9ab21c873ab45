"""What a command could not do."""


class CommandError(Exception):
    """Its message is one line for the person at the terminal; the command ends with `exit_code`."""

    exit_code = 1


class WrongUsage(CommandError):
    """The command line says something that cannot be."""

    exit_code = 2
