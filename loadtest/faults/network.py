"""What the network does: replies lost, late, cut and doubled between gateway and server, connections forgotten; clients
who hang up.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from loadtest.client.answers import Answer
from loadtest.faults import proxy
from loadtest.faults.claimants import People
from loadtest.faults.scenario import Play, Scene
from loadtest.faults.waiting import PATIENCE_SECONDS, BrokenPromiseError, until
from loadtest.target.console_client import ApiError

_IMPATIENT: Final = 0.3
_ROUNDS_AT_ONCE: Final = 20
_HOUR_MS: Final = 3_600_000
# From the moment when all connections go silent to a claim decided in every round, and to an operator's orders done.
_SILENT_SECONDS: Final = 2.5


def on_the_way(fault: proxy.Fault, share: float = 0.1) -> Play:
    """A scenario in which the proxy does that to a share of the replies."""

    async def act(scene: Scene, times: int) -> None:
        between = scene.world.proxy
        if between is None:
            raise RuntimeError("this takes a proxy")
        between.share, between.fault = share, fault
        await until(lambda: scene.tried_so_far(between.applied) >= times, "the fault was tried often enough")
        between.fault = None
        await scene.recovered(time.monotonic())

    return act


async def clients_gone(scene: Scene, times: int) -> None:
    """Almost a third of the clients hang up within milliseconds of asking."""
    scene.people.impatience = _IMPATIENT
    await until(lambda: scene.tried_so_far(scene.people.told[Answer.DROPPED]) >= times, "enough of them hung up")
    scene.people.impatience = 0.0
    await scene.recovered(time.monotonic())


async def silence(scene: Scene, times: int) -> None:
    """All connections to the server go silent at once, after as many were in use as there may be; new ones work."""
    between, claimd = scene.world.proxy, scene.world.claimd
    if between is None:
        raise RuntimeError("this takes a proxy")
    now_ms = int(time.time() * 1000)
    round_ids = [f"silent-{number}" for number in range(_ROUNDS_AT_ONCE)]
    for round_id in (*round_ids, "orders"):
        scene.console.create_round(round_id, 1_000_000, now_ms - _HOUR_MS, now_ms + 100 * _HOUR_MS)
    crowds = [People(claimd.port, claimd.keys, round_id) for round_id in round_ids]
    scene.figures["ordered after, s"] = ordered = []
    for number in range(times):
        await asyncio.gather(*(_grant(crowd, 2 * number) for crowd in crowds))
        await scene.some_time(0.3)
        between.silence()
        silent_at = time.monotonic()
        order = asyncio.create_task(asyncio.to_thread(_until_done, lambda: _pause_and_resume(scene, "orders")))
        # Of every round: what was on its way before the silence came does not count.
        await asyncio.gather(*(_grant(crowd, 2 * number + 1) for crowd in crowds))
        scene.recoveries.append(time.monotonic() - silent_at)
        ordered.append(await order - silent_at)
        slowest = max(scene.recoveries[-1], ordered[-1])
        if slowest > _SILENT_SECONDS:
            raise BrokenPromiseError(f"silent for {slowest:.2f} s: claims {scene.recoveries}, orders {ordered}")
        scene.done_once()


async def _grant(crowd: People, person: int) -> None:
    """One more person of a crowd claims until they are granted a pack."""
    while (await crowd.ask_once(person)).answer not in (Answer.GRANTED, Answer.REPLAYED):
        pass


def _pause_and_resume(scene: Scene, round_id: str) -> None:
    for verb in ("pause", "resume"):
        scene.console.command_round(round_id, verb, "while the network is silent")
    scene.console.round(round_id)


def _until_done(order: Callable[[], Any]) -> float:
    """When it succeeded; an order that had no answer is given again. Raises BrokenPromiseError after a minute."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with suppress(ApiError):
            order()
            return time.monotonic()
    raise BrokenPromiseError("no order succeeded")
