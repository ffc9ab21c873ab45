"""Repeated failures are logged, but not each time."""

import logging

import pytest

from claimd.metrics.trouble import Trouble


def test_the_first_failure_then_one_line_a_minute_then_the_end_of_it(caplog: pytest.LogCaptureFixture) -> None:
    """A warning at once, one a minute with the number of failures, and a line when it works again."""
    caplog.set_level(logging.INFO)
    now = 100.0
    trouble = Trouble(logging.getLogger("test"), "counting", lambda: now)
    trouble.worked()
    assert not caplog.records
    for _ in range(150):
        trouble.failed(OSError("gone"))
        now += 1
    trouble.worked()
    trouble.worked()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "counting failed: OSError: gone"),
        ("WARNING", "counting failed (60 times since the last such line): OSError: gone"),
        ("WARNING", "counting failed (60 times since the last such line): OSError: gone"),
        ("INFO", "counting works again, after 150 failures"),
    ]
    trouble.failed(OSError("again"))
    assert caplog.messages[-1] == "counting failed: OSError: again"


def test_an_unexpected_failure_has_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is to be found."""
    trouble = Trouble(logging.getLogger("test"), "counting", lambda: 0.0)
    trouble.failed(TypeError("Dict key must be str"), unexpected=True)
    assert caplog.records[0].exc_info is not None
