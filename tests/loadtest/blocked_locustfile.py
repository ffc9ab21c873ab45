"""The harness, with a greenlet that takes the processor away from it as soon as the round is open."""

import time
from typing import Any

import gevent
from locust import events

from loadtest.locustfile import AppUser, CrowdUser, compose

__all__ = ["AppUser", "CrowdUser", "compose"]


@events.spawning_complete.add_listener  # type: ignore[untyped-decorator]
def block(**_: Any) -> None:
    """Start a greenlet that keeps the processor from the opening until long after the last tap."""

    def hog() -> None:
        drop = CrowdUser.generator.await_drop()
        gevent.sleep(max(0, -drop.since_opening()))
        while True:
            give_way = time.monotonic() + 0.2
            while time.monotonic() < give_way:
                pass
            gevent.sleep(0.001)

    gevent.spawn(hog)
