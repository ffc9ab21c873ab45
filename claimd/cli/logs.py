"""The log of a role, on stderr: a line for each record, whatever strangers have put into it.

A traceback stands behind a bar, line by line, so that none of its lines can be taken for a record.
"""

import logging

from claimd.cli.legible import legible

_BAR = "    | "
# A path alone may have 8 KiB.
_MAX_CHARACTERS = 2000


class OneLineEach(logging.Formatter):
    """Formats what is logged, by us or by a library."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """The line, without its traceback."""
        line = legible(super().formatMessage(record))
        return line if len(line) <= _MAX_CHARACTERS else f"{line[:_MAX_CHARACTERS]}…"

    def format(self, record: logging.LogRecord) -> str:
        """The line, and its traceback behind the bar."""
        line, *traceback = super().format(record).split("\n")
        return "\n".join([line, *(_BAR + legible(part) for part in traceback)])


def log_to_stderr(role: str) -> None:
    """Let everything be logged so from here on, warnings included."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLineEach(f"%(asctime)s %(levelname)s {role}: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)
