"""Which signals request a stop, and which ask it not to wait."""

import asyncio
import signal

import pytest

from claimd.supervisor.signals import StopRequest

TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


@pytest.mark.parametrize(
    ("signals", "impatient"),
    [
        (((0.0, TERM), (0.0, TERM), (0.1, TERM), (9.0, TERM)), False),
        (((0.0, HUP), (3.0, HUP), (3.0, TERM)), False),
        (((0.0, INT), (0.0, INT), (0.9, INT)), False),
        (((0.0, TERM), (0.5, INT)), False),
        (((0.0, INT), (1.0, INT)), True),
        (((0.0, TERM), (2.0, INT)), True),
        (((0.0, HUP), (2.0, INT)), True),
    ],
)
def test_only_a_later_ctrl_c_is_impatience(signals: tuple[tuple[float, signal.Signals], ...], impatient: bool) -> None:
    """A repeated SIGTERM or SIGHUP changes nothing, nor does a SIGINT that was passed on twice at once."""
    called: list[bool] = []
    clock = [0.0]
    request = StopRequest(lambda: called.append(True), lambda: clock[0])
    for at, number in signals:
        clock[0] = at
        request.receive(number)
    assert bool(called) is impatient
    assert request.signal_name == signals[0][1].name
    assert asyncio.run(_is_impatient(request)) is impatient


async def _is_impatient(request: StopRequest) -> bool:
    await request.wait()
    impatience = asyncio.create_task(request.impatience())
    await asyncio.sleep(0)
    return impatience.done()
