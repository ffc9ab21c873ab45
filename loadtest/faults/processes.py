"""Processes that die or stand still: the server, a gateway, the console, the supervisor."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from typing import Final

import psutil

from loadtest.client.answers import Answer
from loadtest.faults.scenario import Scene, new_server
from loadtest.faults.waiting import BrokenPromiseError, until
from loadtest.target import claimd_up
from loadtest.target.valkey import answers

# All that a killed supervisor leaves behind is to be gone by then.
_ORPHANS_SECONDS: Final = 5.0
_AWAY_SECONDS: Final = 2.5
# Claims that were on their way when something broke say nothing of what came after.
_IN_FLIGHT_SECONDS: Final = 0.1
# What a gateway may take to notice: a question for readiness that was under way, and its time-out.
_NOTICED_SECONDS: Final = 1.0
_LONGER_THAN_SILENCE_SECONDS: Final = 7.0
_CHILDREN: Final = ("gateway-0", "gateway-1", "console", "valkey")


async def kill_server(scene: Scene, times: int) -> None:
    """kill -9 of the embedded server, always with claims on their way."""
    for _ in range(times):
        await asyncio.sleep(scene.chance.uniform(1.05, 1.5))
        await _kill(scene, "valkey")
        await until(lambda: answers(scene.world.server_socket), "the server answers again")
        await scene.recovered(time.monotonic())
        scene.done_once()


async def stop_server(scene: Scene, times: int) -> None:
    """The server stands still for up to six seconds, longer than any claim waits; the first time for all of them."""
    for number in range(times):
        await _stand_still(scene, "valkey", scene.chance.uniform(0.1, 6.0) if number else 6.0)


async def server_away(scene: Scene, times: int) -> None:
    """Somebody's own server is gone for a while: readiness says so, and all is well again when it is back."""
    server = scene.world.server
    if server is None:
        raise RuntimeError("this is about somebody's own server")
    for _ in range(times):
        await scene.some_time(0.5)
        server.kill()
        gone_at = time.monotonic()
        await asyncio.sleep(_AWAY_SECONDS)
        told = scene.readiness.between(gone_at + _NOTICED_SECONDS, time.monotonic())
        if told != {503}:
            raise BrokenPromiseError(f"readiness told {told} while the server was gone")
        await asyncio.to_thread(server.start)
        await scene.recovered(time.monotonic())
        await until(lambda: scene.readiness.newest == 200, "readiness says so")
        scene.done_once()


async def fail_over(scene: Scene, times: int) -> None:
    """kill -9 of the primary; its replica takes its place, and gets a replica of its own."""
    world = scene.world
    for number in range(times):
        primary, replica, proxy = world.server, world.replica, world.proxy
        if primary is None or replica is None or proxy is None:
            raise RuntimeError("this takes a primary, a replica and a proxy")
        await scene.some_time(0.7)
        # For a moment both are primaries: what the old one grants now no replica has, and nobody may be told.
        replica.promote()
        await scene.some_time(0.1)
        primary.kill()
        proxy.server, world.server = replica.socket, replica
        folder = primary.folder.with_name(f"v{number + 2}")
        world.replica = await asyncio.to_thread(world.stack.enter_context, new_server(folder))
        await asyncio.to_thread(world.replica.replicate, replica)
        await scene.recovered(time.monotonic())
        await scene.told_from_now(Answer.GRANTED)
        scene.done_once()


async def kill_gateway(scene: Scene, times: int) -> None:
    """kill -9 of one of two gateway workers, with claims on their way."""
    for _ in range(times):
        await scene.some_time(0.3)
        killed_at = time.monotonic()
        await _kill(scene, f"gateway-{scene.chance.randrange(scene.world.workers)}")
        # The other one serves meanwhile: what counts is when this one does again.
        scene.recoveries.append(time.monotonic() - killed_at)
        scene.done_once()
    _count_children(scene)


async def stop_gateway(scene: Scene, times: int) -> None:
    """A gateway stands still with claims in flight, and goes on as if nothing had been."""
    for _ in range(times):
        name = f"gateway-{scene.chance.randrange(scene.world.workers)}"
        await _stand_still(scene, name, scene.chance.uniform(0.1, 3.0))


async def break_console(scene: Scene, times: int) -> None:
    """The console is killed, or stands still: no claim takes notice."""
    console = scene.world.claimd.pid
    for number in range(times):
        await scene.some_time(0.3)
        broken_at = time.monotonic()
        if number % 2:
            os.kill(console("console"), signal.SIGSTOP)
            try:
                await scene.recovered(broken_at + _IN_FLIGHT_SECONDS)
            finally:
                os.kill(console("console"), signal.SIGCONT)
        else:
            await _kill(scene, "console")
            await scene.recovered(broken_at + _IN_FLIGHT_SECONDS)
        scene.done_once()
    _count_children(scene)


async def kill_supervisor(scene: Scene, times: int) -> None:
    """kill -9 of the supervisor: no child outlives it, and `claimd up` on the same directory finds everything."""
    claimd = scene.world.claimd
    for _ in range(times):
        await scene.some_time(0.5)
        supervisor = psutil.Process(claimd.pid("supervisor"))
        children = supervisor.children()
        supervisor.kill()
        killed_at = time.monotonic()
        await until(lambda left=children: not any(map(_lives, left)), "its children are gone")  # type: ignore[misc]
        if time.monotonic() - killed_at > _ORPHANS_SECONDS:
            raise BrokenPromiseError("children outlived their supervisor")
        again = claimd_up.started(claimd, scene.world.workers)
        await asyncio.to_thread(scene.world.stack.enter_context, again)
        await scene.recovered(time.monotonic())
        _count_children(scene)
        scene.done_once()


async def stop_supervisor(scene: Scene, times: int) -> None:
    """While the supervisor stands still a gateway dies: it alone is started again, once, when the supervisor goes on.

    The first time it stands still for longer than a child may be silent.
    """
    claimd = scene.world.claimd
    for number in range(times):
        await scene.some_time(0.5)
        supervisor, name = claimd.pid("supervisor"), f"gateway-{scene.chance.randrange(scene.world.workers)}"
        dead = claimd.pid(name)
        others = {each: claimd.pid(each) for each in _CHILDREN if each != name}
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(dead, signal.SIGKILL)
        await asyncio.sleep(scene.chance.uniform(0.25, 0.75) if number else _LONGER_THAN_SILENCE_SECONDS)
        os.kill(supervisor, signal.SIGCONT)
        woken_at = time.monotonic()
        await _until_back(scene, name, dead)
        scene.recoveries.append(time.monotonic() - woken_at)
        if taken_for_hung := [each for each, pid in others.items() if claimd.pid(each) != pid]:
            raise BrokenPromiseError(f"{taken_for_hung} were well, and were started again")
        _count_children(scene)
        scene.done_once()


async def _kill(scene: Scene, name: str) -> None:
    """SIGKILL, and wait until another has its place."""
    dead = scene.world.claimd.pid(name)
    os.kill(dead, signal.SIGKILL)
    await _until_back(scene, name, dead)


async def _until_back(scene: Scene, name: str, dead: int) -> None:
    """Another has its place, and the supervisor has heard from it."""
    claimd = scene.world.claimd
    await until(lambda: claimd.pid(name) != dead, f"{name} again")
    line = f"{name} is back (pid {claimd.pid(name)})"
    await until(lambda: line in claimd.log.read_text(errors="replace"), line)


async def _stand_still(scene: Scene, name: str, seconds: float) -> None:
    await scene.some_time(0.3)
    pid = scene.world.claimd.pid(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        # After five seconds its supervisor has put another in its place.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    await scene.recovered(time.monotonic())
    scene.done_once()


def _count_children(scene: Scene) -> None:
    """One server, one console, and each worker once."""
    supervisor = psutil.Process(scene.world.claimd.pid("supervisor"))
    living = [child for child in supervisor.children() if _lives(child)]
    if len(living) != scene.world.workers + 2:
        raise BrokenPromiseError(f"the supervisor has {len(living)} children: {living}")


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False
