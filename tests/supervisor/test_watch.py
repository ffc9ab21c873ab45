"""Whether a process is taken for hung, on a clock of the test's own."""

import pytest

from claimd.supervisor.watch import HUNG_SECONDS, QUIET_SECONDS, START_SECONDS, Watch


class Seen:
    """A watch, and what followed."""

    def __init__(self) -> None:
        self.answering: list[bool] = []
        self.hung: list[float] = []
        self.watch = Watch(self.answering.append, self.hung.append)

    def silence(self, seconds: float, step: float = 0.25) -> None:
        """So much time passes, in ticks."""
        for _ in range(round(seconds / step)):
            self.watch.passed(step)


@pytest.fixture
def seen() -> Seen:
    """Of a process that is ready."""
    seen = Seen()
    seen.watch.ready()
    return seen


def test_silence_takes_it_out_and_then_ends_it(seen: Seen) -> None:
    """Once each."""
    seen.silence(QUIET_SECONDS - 0.25)
    assert seen.answering == [True]
    seen.silence(0.25)
    assert seen.answering == [True, False]
    seen.silence(HUNG_SECONDS - QUIET_SECONDS - 0.25)
    assert not seen.hung
    seen.silence(60)
    assert seen.hung == [HUNG_SECONDS]


def test_a_sign_of_life_puts_it_back(seen: Seen) -> None:
    """And its silence begins anew."""
    seen.silence(HUNG_SECONDS - 0.25)
    seen.watch.heard()
    assert seen.answering == [True, False, True]
    seen.silence(HUNG_SECONDS - 0.25)
    assert not seen.hung


def test_time_in_which_nobody_listened_does_not_count(seen: Seen) -> None:
    """The supervisor was stopped, or the machine was asleep, for an hour."""
    seen.watch.passed(3600)
    assert seen.answering == [True]
    assert not seen.hung


def test_a_start_may_take_longer() -> None:
    """And nobody is sent there before it is ready, whatever signs of life there are."""
    seen = Seen()
    seen.watch.heard()
    seen.silence(START_SECONDS - 0.25)
    assert not seen.answering
    assert not seen.hung
    seen.silence(0.25)
    assert seen.hung == [START_SECONDS]


def test_a_server_that_reads_its_file_for_minutes_is_not_hung() -> None:
    """LOADING is an answer."""
    seen = Seen()
    for _ in range(1000):
        seen.silence(10)
        seen.watch.heard()
    assert not seen.hung


def test_nothing_follows_once_it_is_gone(seen: Seen) -> None:
    """It gets no new connections, and is not killed."""
    seen.watch.gone()
    seen.silence(60)
    assert seen.answering == [True, False]
    assert not seen.hung
