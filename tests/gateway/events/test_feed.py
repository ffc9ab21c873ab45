"""Feeds in simulated time, on the model of the store: when each listener gets what. Timers are a little late."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, cast

import orjson
import pytest

from claimd.contract.limits import COMMENT_SECONDS, EVENT_SECONDS
from claimd.domain.rounds import Definition
from claimd.gateway.events.encoding import COMMENT
from claimd.gateway.events.groups import GROUP_LISTENERS
from claimd.gateway.events.listener import Listener
from claimd.gateway.events.live_rounds import EventLimits, LiveRounds
from claimd.gateway.events.write_pace import WRITES_PER_SECOND
from claimd.gateway.readings.round_readings import RoundReadings
from claimd.store.memory import MemoryStore
from tests.simulation.loop import SimulatedLoop

_EPOCH_MS = 1_600_000_000_000
_PER_SECOND = 4


class Wire:
    """A transport that notes what is written to it, and when."""

    def __init__(self) -> None:
        self.written: list[tuple[float, bytes]] = []
        # While this is not 0, the client takes nothing.
        self.unread_bytes = 0

    def write(self, data: bytes) -> None:
        assert not self.unread_bytes, "written to a client that has taken nothing"
        self.written.append((asyncio.get_running_loop().time(), data))

    def get_write_buffer_size(self) -> int:
        return self.unread_bytes

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_extra_info(self, name: str) -> None: ...

    def events(self) -> list[tuple[float, dict[str, Any]]]:
        """Moment and round of each event."""
        parts = [(at, data.partition(b"\ndata: ")[2]) for at, data in self.written]
        return [(at, orjson.loads(document)) for at, document in parts if document]

    def comments_at(self) -> list[float]:
        """The moments of comments."""
        return [at for at, data in self.written if data == COMMENT.plain]


class Stage:
    """A round in a store of its own, and those who listen to it."""

    def __init__(self, opens_after: float = -1.0, closes_after: float = 1e6) -> None:
        self.loop = cast(SimulatedLoop, asyncio.get_running_loop())
        self.store = MemoryStore(self.now_ms)
        self.readings = RoundReadings(self.store)
        self.live_rounds = LiveRounds(self.readings, EventLimits())
        window = (self.now_ms() + int(opens_after * 1000), self.now_ms() + int(closes_after * 1000))
        self.definition = Definition("night", "A night", 1000, *window)
        self.wires: list[Wire] = []
        self._following: set[asyncio.Task[None]] = set()

    def now_ms(self) -> int:
        """The server's clock."""
        return _EPOCH_MS + int(self.loop.time() * 1000)

    def at(self, time_ms: int) -> float:
        """The loop's time at a moment of the server's clock."""
        return (time_ms - _EPOCH_MS) / 1000

    async def listen(self, number: int) -> None:
        """Let so many more listen."""
        reading = await self.readings.read("night")
        assert reading.round is not None
        for _ in range(number):
            wire = Wire()
            self.wires.append(wire)
            listener = Listener(cast(asyncio.Transport, wire), chunked=False)
            follow = self.live_rounds.follow(reading.round, reading, listener)
            self._following.add(asyncio.create_task(follow))

    async def edit(self, number: int) -> None:
        """Change the round."""
        await self.store.round_edit("night", {"title": f"{number}"}, "for a test")

    async def leave(self) -> None:
        """Let all leave."""
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)


def played(seed: int, play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a play in simulated time."""
    with asyncio.Runner(loop_factory=lambda: SimulatedLoop(Random(seed))) as runner:
        runner.run(play())


def most_in_a_second(moments: list[float]) -> int:
    """The largest number of moments within any second."""
    return max(sum(start <= moment < start + 1 for moment in moments) for start in moments)


@pytest.mark.parametrize("seed", range(3))
def test_no_listener_gets_more_than_four_events_in_any_second(seed: int) -> None:
    """Also one that has just come, and while others come; and each event has news."""

    async def play() -> None:
        stage = Stage()
        await stage.store.round_create(stage.definition, "")
        for number in range(500):
            await stage.edit(number)
            if number % 50 == 0:
                await stage.listen(7)
            await asyncio.sleep(0.011)
        await stage.leave()
        for wire in stage.wires:
            events = wire.events()
            assert most_in_a_second([at for at, _ in events]) <= _PER_SECOND
            assert all(one["title"] != other["title"] for (_, one), (_, other) in itertools.pairwise(events))
        early = stage.wires[0].events()
        assert len(early) > 0.9 * _PER_SECOND * (early[-1][0] - early[0][0])

    played(seed, play)


@pytest.mark.parametrize("seed", range(3))
def test_opening_and_closing_are_events_at_their_moment(seed: int) -> None:
    """Whatever changes before them; and never early."""

    async def play() -> None:
        stage = Stage(opens_after=3.123, closes_after=5.555)
        await stage.store.round_create(stage.definition, "")
        await stage.listen(3)
        for number in range(600):
            await stage.edit(number)
            await asyncio.sleep(0.01)
        await stage.leave()
        moments = {"open": stage.definition.opens_at_ms, "closed": stage.definition.closes_at_ms}
        for wire in stage.wires:
            events = wire.events()
            assert most_in_a_second([at for at, _ in events]) <= _PER_SECOND
            for status, moment_ms in moments.items():
                first = min(at for at, document in events if document["status"] == status)
                # The server's clock is known to a millisecond, and timers of the simulation are late.
                assert 0 <= first - stage.at(moment_ms) < 0.03
            assert [status for status in ("scheduled", "open", "closed") if status in {d["status"] for _, d in events}]

    played(seed, play)


@pytest.mark.parametrize("seed", range(3))
def test_all_have_the_newest_state_in_the_end(seed: int) -> None:
    """Those too who took nothing for a while: then they get it although nothing changes any more."""

    async def play() -> None:
        stage, rng = Stage(), Random(seed)
        await stage.store.round_create(stage.definition, "")
        await stage.listen(3 * GROUP_LISTENERS + 1)
        for number in range(200):
            for wire in stage.wires:
                wire.unread_bytes = 600 * (rng.random() < 0.5)
            await stage.edit(number)
            await asyncio.sleep(rng.random() / 20)
        await asyncio.sleep(2 * EVENT_SECONDS)
        for wire in stage.wires:
            wire.unread_bytes = 0
        await asyncio.sleep(3 * EVENT_SECONDS)
        await stage.leave()
        for wire in stage.wires:
            assert wire.events()[-1][1]["title"] == "199"

    played(seed, play)


def test_a_large_audience_gets_fewer_events_and_each_gets_its_share() -> None:
    """The writes of a process are bounded, and come in groups with claims in between."""

    async def play() -> None:
        stage = Stage()
        await stage.store.round_create(stage.definition, "")
        await stage.listen(WRITES_PER_SECOND)
        began = stage.loop.time() + EVENT_SECONDS
        for number in range(600):
            await stage.edit(number)
            await asyncio.sleep(0.01)
        await stage.leave()
        moments = sorted(at for wire in stage.wires for at, _ in wire.events() if at > began)
        took = moments[-1] - moments[0]
        assert len(moments) <= WRITES_PER_SECOND * took + 2 * GROUP_LISTENERS
        assert max(moments.count(at) for at in set(moments[:2000])) <= GROUP_LISTENERS
        counts = [sum(at > began for at, _ in wire.events()) for wire in stage.wires]
        assert max(counts) - min(counts) <= 1
        assert min(counts) >= 0.8 * took - 1

    played(0, play)


def test_a_comment_comes_every_fifteen_seconds() -> None:
    """Also beside events, and where nothing ever changes."""

    async def play() -> None:
        stage = Stage()
        await stage.store.round_create(stage.definition, "")
        await stage.listen(GROUP_LISTENERS + 1)
        await asyncio.sleep(100)
        for number in range(100):
            await stage.edit(number)
            await asyncio.sleep(1)
        await stage.leave()
        for wire in stage.wires:
            moments = [wire.written[0][0], *wire.comments_at()]
            apart = [later - earlier for earlier, later in itertools.pairwise(moments)]
            assert len(apart) == 13
            assert all(0 < seconds < COMMENT_SECONDS + 2 * EVENT_SECONDS for seconds in apart)

    played(0, play)
