"""What the network does: replies lost, late, cut and doubled between gateway and server; clients who hang up."""

import time
from typing import Final

from loadtest.answers import Told
from loadtest.faults import proxy
from loadtest.faults.scene import Play, Scene
from loadtest.faults.waiting import until

_IMPATIENT: Final = 0.3


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
    await until(lambda: scene.tried_so_far(scene.people.told[Told.DROPPED]) >= times, "enough of them hung up")
    scene.people.impatience = 0.0
    await scene.recovered(time.monotonic())
