"""A question before something that cannot be undone."""

import sys

from claimd.errors import CommandError


def confirm(question: str) -> None:
    """Return after `y` or `yes`. Raises CommandError for every other answer, and where standard input has ended."""
    sys.stderr.write(f"{question} [y/N]: ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        sys.stderr.write("\n")
        raise CommandError("nothing was changed: standard input has no answer to the question; --yes asks none")
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandError("nothing was changed")
