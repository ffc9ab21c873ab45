"""What goes on around a server that works: scripts forgotten, memory and files that run out, orders, the clock."""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

from claimd.domain.times import to_rfc3339
from claimd.store.redis import keys
from loadtest.client.answers import Answer
from loadtest.faults.claimants import People
from loadtest.faults.scenario import ROUND, Scene
from loadtest.faults.strangers import Strangers
from loadtest.faults.waiting import BrokenPromiseError, until
from loadtest.target.valkey import Valkey

_HOUR_MS: Final = 3_600_000
_LATER: Final = "later"
_LITTLE_BYTES: Final = 200_000
# Nearly as many as there may be files, see `scene.with_few_files`.
_STRANGERS: Final = 290


async def forget_scripts(scene: Scene, times: int) -> None:
    """SCRIPT FLUSH, again and again."""
    server = _own(scene)
    with server.client() as redis:
        for _ in range(times):
            await scene.some_time(0.05)
            redis.script_flush()
            await scene.recovered(time.monotonic())
            scene.done_once()


async def run_out_of_memory(scene: Scene, times: int) -> None:
    """`maxmemory` is reached: 503, nothing half-written, and all is well when there is room again."""
    server = _own(scene)
    with server.client() as redis:
        for _ in range(times):
            await scene.some_time(0.3)
            used: Any = redis.info("memory")
            redis.config_set("maxmemory", used["used_memory"] + _LITTLE_BYTES)
            await until(lambda: scene.readiness.newest == 503, "readiness says that it is full")
            await scene.told_from_now(Answer.UNAVAILABLE, Answer.OVERLOADED)
            _nothing_half_written(redis)
            redis.config_set("maxmemory", 0)
            await scene.recovered(time.monotonic())
            scene.done_once()


async def run_out_of_files(scene: Scene, times: int) -> None:
    """Strangers take every connection, the server goes away and comes back: those who were in time are served again."""
    server = _own(scene)
    async with Strangers(scene.world.claimd.port, _STRANGERS) as strangers:
        await until(lambda: strangers.closed, "some find no place")
        for _ in range(times):
            await scene.some_time(0.3)
            server.kill()
            # They take what its connections have left, too.
            await scene.some_time(1.0)
            await asyncio.to_thread(server.start)
            await scene.recovered(time.monotonic())
            scene.done_once()
    await until(lambda: scene.readiness.newest == 200, "readiness says so, once there is a place")


async def give_orders(scene: Scene, times: int) -> None:
    """The total, the window and the title are edited, the round is paused and resumed, and at last it is closed."""
    now_ms = int(time.time() * 1000)
    soon = to_rfc3339(now_ms + _HOUR_MS)
    open_again = to_rfc3339(now_ms - _HOUR_MS)
    operators = scene.operators
    orders = (
        lambda: operators.order("pause"),
        lambda: operators.order("resume"),
        lambda: operators.edit({"opens_at": soon}),
        lambda: operators.edit({"opens_at": open_again}),
        lambda: operators.edit({"title": f"The {scene.tried}th title"}),
        operators.change_total,
    )
    for number in range(times):
        # Each one that stops the round is followed by the one that goes on, so that people claim most of the time.
        await orders[number % len(orders)]()
        await scene.some_time(0.02)
        scene.done_once()
    await operators.order("close")


async def set_clock_back(scene: Scene, times: int) -> None:
    """The server's clock goes an hour ahead, and back: what has opened stays open, what has not opens by it.

    Two hours back are no correction: then, and after an edit of the window, a round follows the clock again.
    """
    server, claimd = _own(scene), scene.world.claimd
    now_ms = int(time.time() * 1000)
    opens_at_ms = now_ms + _HOUR_MS // 2
    long_ago = to_rfc3339(now_ms - 3 * _HOUR_MS)
    scene.console.edit_round(ROUND, {"opens_at": long_ago, "reason": "open whatever the clock says"})
    scene.console.create_round(_LATER, 1_000_000, opens_at_ms, opens_at_ms + 100 * _HOUR_MS)
    later = People(claimd.port, claimd.keys, _LATER)
    # Before the first grant a round follows the clock wherever it goes.
    for hours, told in ((-1, Answer.NOT_OPEN), (0, Answer.NOT_OPEN), (1, Answer.GRANTED)):
        await _set_clock(scene, server, hours)
        await _expect(later, told, hours)
    for _ in range(times):
        for hours in (0, 1):
            await _set_clock(scene, server, hours)
            await _expect(later, Answer.GRANTED, hours)
            await scene.some_time(0.2)
        scene.done_once()
    await _set_clock(scene, server, -1)
    await _expect(later, Answer.NOT_OPEN, -1)
    for opens_at, told in ((long_ago, Answer.GRANTED), (to_rfc3339(opens_at_ms), Answer.NOT_OPEN)):
        scene.console.edit_round(_LATER, {"opens_at": opens_at, "reason": "an edit counts"})
        await _expect(later, told, -1)
    await _set_clock(scene, server, 0)
    if scene.people.told[Answer.NOT_OPEN]:
        raise BrokenPromiseError(f"an open round told NOT_OPEN {scene.people.told[Answer.NOT_OPEN]} times")


async def _set_clock(scene: Scene, server: Valkey, hours: int) -> None:
    clock_file(server.folder).write_text(f"{hours * 3600:+d}\n")
    with server.client() as redis:
        await until(lambda: abs(_seconds(redis) - time.time() - hours * 3600) < 60, "the server has the new time")
    await scene.recovered(time.monotonic())


async def _expect(people: People, told: Answer, hours: int) -> None:
    """Somebody new is told that."""
    operation = await people.ask_once(len(people.operations) + 1)
    if operation.answer is not told:
        raise BrokenPromiseError(f"with the clock at {hours:+d} h: {operation.answer.name}, not {told.name}")


def clock_file(folder: Path) -> Path:
    """Where libfaketime reads by how much the server's clock is wrong."""
    return folder.with_name("clock")


def _seconds(redis: Any) -> float:
    seconds, microseconds = redis.time()
    return float(seconds) + float(microseconds) / 1e6


def _own(scene: Scene) -> Valkey:
    if scene.world.server is None:
        raise RuntimeError("this is about somebody's own server")
    return scene.world.server


def _nothing_half_written(redis: Any) -> None:
    """The counter, the claims and the log agree: read in one transaction, while it goes on."""
    pipeline = redis.pipeline(transaction=True)
    pipeline.hget(keys.of_round(ROUND).round, "issued")
    pipeline.hlen(keys.of_round(ROUND).claims)
    pipeline.xrevrange(keys.of_round(ROUND).log, count=50)
    issued, held, entries = pipeline.execute()
    newest = next((fields for _, fields in entries if b"grants" in fields), None)
    logged = int(issued) if newest is None else int(newest[b"first"]) - 1 + len(newest[b"identities"]) // 16
    if not int(issued) == held == logged:
        raise BrokenPromiseError(f"half written: issued {int(issued)}, held {held}, logged {logged}")
