"""When a process counts as answering, silent and hung; the test lets time pass."""

import pytest

from claimd.supervisor.watch import HUNG_SECONDS, QUIET_SECONDS, START_SECONDS, Watch


class Observed:
    """A watch, and the calls that it has made."""

    def __init__(self) -> None:
        self.answering: list[bool] = []
        self.hung: list[float] = []
        self.watch = Watch(self.answering.append, self.hung.append)

    def silence(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass in steps, without a heartbeat."""
        for _ in range(round(seconds / step)):
            self.watch.advance(step)


@pytest.fixture
def observed() -> Observed:
    """The watch of a process that is ready."""
    observed = Observed()
    observed.watch.mark_ready()
    return observed


def test_a_silent_process_gets_no_connections_and_is_then_killed(observed: Observed) -> None:
    """Each is reported once, after its own time."""
    observed.silence(QUIET_SECONDS - 0.25)
    assert observed.answering == [True]
    observed.silence(0.25)
    assert observed.answering == [True, False]
    observed.silence(HUNG_SECONDS - QUIET_SECONDS - 0.25)
    assert not observed.hung
    observed.silence(60)
    assert observed.hung == [HUNG_SECONDS]


def test_a_heartbeat_makes_it_answering_again(observed: Observed) -> None:
    """The count of silent seconds starts again."""
    observed.silence(HUNG_SECONDS - 0.25)
    observed.watch.heartbeat()
    assert observed.answering == [True, False, True]
    observed.silence(HUNG_SECONDS - 0.25)
    assert not observed.hung


def test_time_in_which_the_supervisor_was_suspended_does_not_count(observed: Observed) -> None:
    """After an hour in which the supervisor was stopped or the machine slept, no child is hung."""
    observed.watch.advance(3600)
    assert observed.answering == [True]
    assert not observed.hung


def test_a_start_may_take_longer() -> None:
    """It gets no connections before it is ready, even with heartbeats."""
    observed = Observed()
    observed.watch.heartbeat()
    observed.silence(START_SECONDS - 0.25)
    assert not observed.answering
    assert not observed.hung
    observed.silence(0.25)
    assert observed.hung == [START_SECONDS]


def test_a_server_that_loads_its_file_for_minutes_is_not_hung() -> None:
    """Its LOADING replies are heartbeats."""
    observed = Observed()
    for _ in range(1000):
        observed.silence(10)
        observed.watch.heartbeat()
    assert not observed.hung


def test_an_ended_process_is_not_killed(observed: Observed) -> None:
    """It gets no new connections, and its silence means nothing."""
    observed.watch.mark_ended()
    observed.silence(60)
    assert observed.answering == [True, False]
    assert not observed.hung
