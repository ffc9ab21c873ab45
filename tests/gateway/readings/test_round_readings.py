"""Requests share readings: how many calls the server gets, what each answer says, and what happens without a server."""

import asyncio
from collections.abc import Sequence

import pytest

from claimd.domain.rounds import FIRST_EPOCH, Round
from claimd.gateway.readings.round_readings import FRESH_SECONDS, RoundReadings
from claimd.gateway.readings.shared_reading import SharedReading
from claimd.store.errors import StoreDamaged, StoreUnavailable
from claimd.store.ports import Reading
from tests.rounds import definition


class Rounds:
    """A reader whose calls are answered when the test says so, by the state at that moment; it records them."""

    def __init__(self) -> None:
        self.rounds: dict[str, Round | StoreDamaged] = {}
        self.calls: list[list[str]] = []
        self.now_ms = 1_000_000
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def open(self, round_id: str, issued: int = 0) -> None:
        self.rounds[round_id] = Round(definition(round_id), version=1, epoch=FIRST_EPOCH, issued=issued)

    async def readings(self, round_ids: Sequence[str]) -> list[Reading | StoreDamaged]:
        self.calls.append(list(round_ids))
        seen = [self._reading(round_id) for round_id in round_ids]
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return seen

    def _reading(self, round_id: str) -> Reading | StoreDamaged:
        item = self.rounds.get(round_id)
        return item if isinstance(item, StoreDamaged) else Reading(self.now_ms, item)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def rounds() -> Rounds:
    """A server with one round."""
    rounds = Rounds()
    rounds.open("night")
    return rounds


@pytest.fixture
async def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
async def readings(rounds: Rounds, clock: Clock) -> RoundReadings:
    """The readings of a process, by that clock."""
    return RoundReadings(rounds, clock)  # type: ignore[arg-type]


async def all_idle() -> None:
    """Let everything run that can run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_all_requests_at_once_share_one_call(readings: RoundReadings, rounds: Rounds) -> None:
    """A thousand requests at once, and those within 50 ms after them."""
    shared = await asyncio.gather(*(readings.read("night") for _ in range(1000)))
    assert len({id(reading) for reading in shared}) == 1
    assert await readings.read("night") is shared[0]
    assert rounds.calls == [["night"]]


async def test_a_reading_counts_for_50_ms(readings: RoundReadings, rounds: Rounds, clock: Clock) -> None:
    """Then the round is read again, and answers have its news."""
    first = await readings.read("night")
    clock.seconds += FRESH_SECONDS * 0.99
    assert await readings.read("night") is first
    rounds.open("night", issued=2)
    clock.seconds += FRESH_SECONDS * 0.02
    second = await readings.read("night")
    assert second.round is not None
    assert second.round.issued == 2


async def test_a_request_while_a_reading_is_under_way_shares_it(readings: RoundReadings, rounds: Rounds) -> None:
    """The reading is not older than the request by more than the way to the server."""
    rounds.gate.clear()
    first = asyncio.ensure_future(readings.read("night"))
    await all_idle()
    late = asyncio.ensure_future(readings.read("night"))
    await all_idle()
    rounds.gate.set()
    assert (await first) is (await late)
    assert rounds.calls == [["night"]]


async def test_a_reading_anew_begins_after_the_request(readings: RoundReadings, rounds: Rounds) -> None:
    """What was edited while an earlier reading was under way is seen."""
    rounds.gate.clear()
    early = asyncio.ensure_future(readings.read("night"))
    await all_idle()
    rounds.open("night", issued=1)
    anew = asyncio.ensure_future(readings.read_anew("night"))
    late = asyncio.ensure_future(readings.read("night"))
    await all_idle()
    rounds.gate.set()
    issued = [reading.round.issued for reading in await asyncio.gather(early, late, anew) if reading.round]
    assert issued == [0, 0, 1]
    assert len(rounds.calls) == 2


async def test_different_rounds_share_a_call(readings: RoundReadings, rounds: Rounds) -> None:
    """One exchange reads up to 64 rounds; the others are read by the next."""
    for number in range(100):
        rounds.open(f"r{number}")
    await asyncio.gather(*(readings.read(f"r{number}") for number in range(100)))
    assert [len(call) for call in rounds.calls] == [64, 36]


async def test_a_round_that_is_created_is_found_by_the_next_request(readings: RoundReadings, rounds: Rounds) -> None:
    """Nothing is remembered of a round that is not there, not even within 50 ms."""
    assert (await readings.read("soon")).round is None
    rounds.open("soon")
    assert (await readings.read("soon")).round is not None


async def test_a_late_request_is_not_answered_that_a_round_is_missing(readings: RoundReadings, rounds: Rounds) -> None:
    """It may have been created between the reading and the request: the next reading answers it."""
    rounds.gate.clear()
    early = asyncio.ensure_future(readings.read("soon"))
    await all_idle()
    rounds.open("soon")
    late = asyncio.ensure_future(readings.read("soon"))
    await all_idle()
    rounds.gate.set()
    assert (await early).round is None
    assert (await late).round is not None


async def test_a_crowd_of_any_kind_asks_some_dozen_times_a_second(rounds: Rounds) -> None:
    """Two seconds of requests for rounds that are not there, each as soon as the last one was answered.

    The pace is 40 exchanges a second with a burst of 20; the limit here leaves room for a machine that stands still.
    """
    loop = asyncio.get_running_loop()
    readings, began = RoundReadings(rounds), loop.time()  # type: ignore[arg-type]

    async def ask(name: str) -> None:
        while loop.time() < began + 2:
            await readings.read(name)

    await asyncio.gather(*(ask(f"none-{number}") for number in range(10)))
    assert 20 < len(rounds.calls) <= 20 + 40 * (loop.time() - began) + 1


async def test_a_lost_server_fails_all_waiting_requests(
    readings: RoundReadings, rounds: Rounds, caplog: pytest.LogCaptureFixture
) -> None:
    """Each with an error of its own, and one line of the log for all; the next request causes the next call."""
    rounds.error = StoreUnavailable("lost")
    told = await asyncio.gather(*(readings.read("night") for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in told] == [StoreUnavailable] * 3
    assert len({id(error) for error in told}) == 3
    assert caplog.messages == ["1 rounds could not be read: lost"]
    rounds.error = None
    assert (await readings.read("night")).round is not None


async def test_a_bug_below_leaves_no_request_waiting(readings: RoundReadings, rounds: Rounds) -> None:
    """It fails as if the server did not answer."""
    rounds.error = ValueError("a bug")
    with pytest.raises(StoreUnavailable):
        await readings.read("night")


async def test_a_damaged_round_is_an_error_for_itself_alone(readings: RoundReadings, rounds: Rounds) -> None:
    """Others that were read by the same call are served."""
    rounds.rounds["bad"] = StoreDamaged("a field is missing")
    good, bad = await asyncio.gather(readings.read("night"), readings.read("bad"), return_exceptions=True)
    assert isinstance(good, SharedReading)
    assert isinstance(bad, StoreDamaged)


async def test_a_cancelled_request_does_not_hold_up_others(readings: RoundReadings, rounds: Rounds) -> None:
    """Cancelled while a reading is under way, it is passed over."""
    rounds.gate.clear()
    gone, stays = (asyncio.ensure_future(readings.read("night")) for _ in range(2))
    await all_idle()
    gone.cancel()
    await all_idle()
    rounds.gate.set()
    assert (await stays).round is not None
    assert gone.cancelled()


async def test_server_time_is_right_for_each(readings: RoundReadings, rounds: Rounds, clock: Clock) -> None:
    """Documents of one reading have one tag, and each the time at which it was answered."""
    reading = await readings.read("night")
    assert reading.round is not None
    first = reading.now_ms()
    tag = reading.document(reading.round, first).etag
    clock.seconds += 0.03
    assert reading.now_ms() - first == 30
    assert first <= rounds.now_ms
    document = reading.document(reading.round, reading.now_ms())
    assert document.etag == tag
    assert document.body(reading.now_ms()) != document.body(first)
