"""How often records of one kind get a line."""

import io
import logging
import re

import pytest

from claimd.cli.terminal.logs import CountingHandler, OneLineEach


class Log:
    """A logger with a handler of its own, whose second ends when a test calls `tick`, and its output."""

    def __init__(self) -> None:
        self.logger = logging.Logger("test")  # noqa: LOG001 - one that no other test has handlers on
        self.handler = CountingHandler()
        self._output = io.StringIO()
        self.handler.setStream(self._output)
        self.handler.setFormatter(OneLineEach("%(levelname)s %(message)s"))
        self.logger.addHandler(self.handler)

    def written(self) -> str:
        """Since it was asked last, without tracebacks."""
        lines = self._output.getvalue().splitlines(keepends=True)
        self._output.seek(0)
        self._output.truncate()
        return "".join(line for line in lines if not line.startswith("    |"))


@pytest.fixture
def log() -> Log:
    return Log()


def test_the_first_at_once_and_the_others_counted(log: Log) -> None:
    """What differs is only what was filled in, so it is one kind; a second without any starts anew."""
    for number in range(366):
        log.logger.warning("%s could not be answered", f"/v1/rounds/{number}")
    assert log.written() == "WARNING /v1/rounds/0 could not be answered\n"
    log.handler.tick()
    assert log.written() == "WARNING /v1/rounds/365 could not be answered … (364 more like it)\n"
    log.logger.warning("%s could not be answered", "a")
    log.handler.tick()
    assert log.written() == "WARNING a could not be answered\n"
    log.handler.tick()
    assert not log.handler.holding.is_set()
    log.logger.warning("%s could not be answered", "b")
    assert log.written() == "WARNING b could not be answered\n"


def test_kinds_do_not_hide_each_other(log: Log) -> None:
    """Another level, template or error is another kind."""
    log.logger.warning("a %s", 1)
    log.logger.error("a %s", 1)
    log.logger.warning("b %s", 1)
    for error in ("no connection", "no connection", "WRONGTYPE"):
        log.logger.warning("%s failed: %s", "a path", ConnectionError(error))
    for bug in (ValueError("x"), KeyError("y"), KeyError("z")):
        try:
            raise bug
        except LookupError:
            log.logger.exception("failed")
        except ValueError:
            log.logger.exception("failed")
    assert log.written().splitlines() == [
        "WARNING a 1",
        "ERROR a 1",
        "WARNING b 1",
        "WARNING a path failed: no connection",
        "WARNING a path failed: WRONGTYPE",
        "ERROR failed",
        "ERROR failed",
    ]


def test_what_is_bounded_where_it_is_logged_is_all_written(log: Log) -> None:
    """Log a line for each reason of a 401, or for each damaged round."""
    for number in range(200):
        log.logger.error("round %d", number, extra={"bounded": True})
    assert log.written().splitlines() == [f"ERROR round {number}" for number in range(200)]


def test_a_library_that_fills_in_by_itself_is_counted_too(log: Log) -> None:
    """asyncio's own handler and warnings make a text of each message; addresses and numbers in it are no kind."""
    for number in range(10):
        log.logger.error(f"Exception in callback <Handle at 0x{number:x}f>\nhandle: {number}")
        log.logger.warning("%s", f"/file.py:{number}: Warning")
    log.handler.tick()
    lines = log.written().splitlines()
    assert len(lines) == 4
    assert sum("(8 more like it)" in line for line in lines) == 2


def test_texts_without_end_are_one_kind(log: Log) -> None:
    """However many different messages come, the lines of a second have a bound, and each is counted."""
    for number in range(5000):
        log.logger.error("".join(chr(97 + int(digit)) for digit in str(number)))
    log.handler.tick()
    lines = log.written().splitlines()
    assert len(lines) == 66
    assert len(lines) + sum(int(count) for count in re.findall(r"\((\d+) more like it\)", "\n".join(lines))) == 5000


def test_what_cannot_be_formatted_is_no_way_around(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake of ours is shown by the library with a traceback, once."""
    for _ in range(50):
        log.logger.error("%d", "no number")
    assert capsys.readouterr().err.count("--- Logging error ---") == 1
