"""The log of a role, on stderr: a line for each record, whatever strangers have put into it, and however often.

A traceback stands behind a bar, line by line, so that none of its lines can be taken for a record. Of each kind the
first record is written at once, and then one a second: the newest, with the number of the others.
"""

import atexit
import logging
import re
import threading
import time
from dataclasses import dataclass

from claimd.cli.terminal.printable import printable

_BAR = "    | "
# A path alone may have 8 KiB.
_MAX_CHARACTERS = 2000
_WINDOW_SECONDS = 1.0
# Beyond so many kinds in a second the rest is one kind: some libraries make a new text for each message.
_MAX_KINDS = 64
_VARIES = re.compile(r"0x[0-9a-fA-F]+|\d+")

_Kind = tuple[object, ...]


class OneLineEach(logging.Formatter):
    """Formats what is logged, by us or by a library."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """The line, without its traceback."""
        line = printable(super().formatMessage(record))
        return line if len(line) <= _MAX_CHARACTERS else f"{line[:_MAX_CHARACTERS]}…"

    def format(self, record: logging.LogRecord) -> str:
        """The line, and its traceback behind the bar."""
        line, *traceback = super().format(record).split("\n")
        return "\n".join([line, *(_BAR + printable(part) for part in traceback)])


@dataclass(slots=True)
class _Held:
    """Records of one kind since its last line. `newest` is the one that the next line shows."""

    count: int = 0
    newest: logging.LogRecord | None = None


class CountingHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to `sys.stderr`; `tick` ends the second and writes what was held back in it."""

    def __init__(self) -> None:
        super().__init__()
        self._repeated: dict[_Kind, _Held] = {}
        self.holding = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or hold it back where one of its kind was written in this second. Called under the lock.

        Code that logs few records by itself, each of which matters, marks them: `extra={"bounded": True}`.
        """
        if getattr(record, "bounded", False):
            super().emit(record)
            return
        kind = _kind_of(record)
        if kind not in self._repeated and len(self._repeated) >= _MAX_KINDS:
            kind = ("other",)
        repeated = self._repeated.get(kind)
        if repeated is None:
            self._repeated[kind] = _Held()
            self.holding.set()
            super().emit(record)
        else:
            repeated.count += 1
            repeated.newest = record

    def tick(self) -> None:
        """End the second: for each kind write the newest record that was held back, and forget kinds that are over."""
        self.acquire()
        try:
            for kind, repeated in list(self._repeated.items()):
                if repeated.newest is None:
                    del self._repeated[kind]
                    continue
                self._repeated[kind] = _Held()
                repeated.newest.__dict__["more_like_it"] = repeated.count - 1
                super().emit(repeated.newest)
            if not self._repeated:
                self.holding.clear()
        finally:
            self.release()

    def format(self, record: logging.LogRecord) -> str:
        """The formatted record, with the number of those that it stands for."""
        line, newline, traceback = super().format(record).partition("\n")
        more = getattr(record, "more_like_it", 0)
        return f"{line} … ({more} more like it){newline}{traceback}" if more else line + newline + traceback


def log_to_stderr(role: str) -> None:
    """Let everything be logged so from here on, warnings included."""
    handler = CountingHandler()
    handler.setFormatter(OneLineEach(f"%(asctime)s %(levelname)s {role}: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)
    threading.Thread(target=_tick_on, args=(handler,), name="log", daemon=True).start()
    atexit.register(handler.tick)


def _tick_on(handler: CountingHandler) -> None:
    while True:
        handler.holding.wait()
        time.sleep(_WINDOW_SECONDS)
        handler.tick()


def _kind_of(record: logging.LogRecord) -> _Kind:
    """What records have in common that differ only in what was filled in: paths, numbers, addresses.

    Errors that are filled in count as part of the kind, as each of them has another cause.
    """
    text = record.msg if record.args and record.msg != "%s" else record.getMessage()
    filled_in = record.args if isinstance(record.args, tuple) else ()
    errors = [_alike(error) for error in filled_in if isinstance(error, BaseException)]
    raised = record.exc_info[0] if record.exc_info else None
    return record.name, record.levelno, _alike(text), *errors, raised


def _alike(text: object) -> str:
    return _VARIES.sub("#", str(text).partition("\n")[0][:200])
