"""Every way of breaking it there is: its name, what is done, how often in a long run and in a short one, and where."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from loadtest.faults import conditions, hanging, network, processes, proxy, scenario, storage
from loadtest.faults.scenario import Play, Verdict, World, play

_CLOCK_LIBRARY: Final = "faketime/libfaketime.so.1"


@dataclass(frozen=True, slots=True)
class Scenario:
    """`times` is for a full run, `short` for the tests. `world` is given a folder of its own."""

    name: str
    what: str
    times: int
    short: int
    act: Play
    world: Callable[[Path], AbstractContextManager[World]] = scenario.embedded
    clock_holds: bool = True
    stock_changes: bool = True

    def run(self, home: Path, times: int, progress: Callable[[int], None]) -> Verdict:
        """Try it in the folder `home`. Raises SkippedError where this machine cannot, and whatever ends it early."""
        with self.world(home) as world:
            playing = play(
                *(world, times, self.act, progress),
                clock_holds=self.clock_holds,
                stock_changes=self.stock_changes,
            )
            return asyncio.run(playing)


@contextmanager
def _on_a_small_disk(home: Path) -> Iterator[World]:
    with ExitStack() as stack:
        disk = stack.enter_context(storage.small_disk(home / "disk"))
        yield stack.enter_context(scenario.embedded(home, data_dir=disk / "data"))


@contextmanager
def _with_a_clock(home: Path) -> Iterator[World]:
    """A server whose clock is as wrong as a file says."""
    library = next(
        (path for root in ("/usr/lib", "/usr/lib64") for path in Path(root).glob(f"**/{_CLOCK_LIBRARY}")), None
    )
    if library is None:
        raise storage.SkippedError("setting a server's clock takes libfaketime (Debian: faketime)")
    file = conditions.clock_file(home / "v")
    file.write_text("+0\n")
    environment = {
        "LD_PRELOAD": os.fspath(library),
        "FAKETIME_TIMESTAMP_FILE": os.fspath(file),
        "FAKETIME_NO_CACHE": "1",
        # Time-outs are not to be wrong, only what time it is.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with scenario.on_own_server(home, environment) as world:
        yield world


_on_the_way, _proxied = network.on_the_way, scenario.behind_a_proxy
_two_workers = partial(scenario.embedded, workers=2)

SCENARIOS: Final = (
    Scenario("kill-server", "kill -9 of the server, mid-batch", 50, 3, processes.kill_server),
    Scenario("stop-server", "the server stands still, up to 6 s", 10, 1, processes.stop_server),
    Scenario("server-away", "one's own server is gone for 2.5 s", 5, 1, processes.server_away, scenario.on_own_server),
    # What only the lost primary knew was nobody's, so that "sold out" could have been said for a pack that came back.
    Scenario(
        *("fail-over", "kill -9 of the primary, the replica takes over", 10, 1),
        *(processes.fail_over, scenario.with_a_replica),
        stock_changes=False,
    ),
    Scenario("kill-gateway", "kill -9 of one of two gateways", 30, 3, processes.kill_gateway, _two_workers),
    Scenario("stop-gateway", "a gateway stands still, up to 3 s", 10, 1, processes.stop_gateway, _two_workers),
    Scenario("break-console", "the console is killed, or stands still", 10, 2, processes.break_console),
    Scenario("kill-supervisor", "kill -9 of the supervisor", 5, 1, processes.kill_supervisor, _two_workers),
    Scenario("stop-supervisor", "it stands still while a gateway dies", 5, 1, processes.stop_supervisor, _two_workers),
    Scenario("hang-gateway", "a gateway hangs for good", 10, 1, hanging.hang_gateway, _two_workers),
    Scenario("hang-server", "the embedded server hangs for good", 10, 1, hanging.hang_server),
    Scenario("stop-hung", "SIGTERM while all its children hang", 5, 1, hanging.stop_hung, _two_workers),
    Scenario(
        "unread-log", "a full log, and two die", 10, 1, hanging.unread_log, hanging.with_a_log_reader
    ),
    Scenario("lose-replies", "done, but the reply is lost", 500, 20, _on_the_way(proxy.lose), _proxied),
    Scenario("late-replies", "replies late by up to 3 s", 100, 5, _on_the_way(proxy.hold_up), _proxied),
    Scenario("cut-replies", "half a reply, then the end", 500, 20, _on_the_way(proxy.cut_short), _proxied),
    Scenario("black-hole", "no reply, and no end either", 20, 2, _on_the_way(proxy.swallow), _proxied),
    Scenario("silent-network", "all connections to the server go silent", 20, 2, network.silence, _proxied),
    Scenario("double-replies", "every tenth reply comes twice", 500, 80, _on_the_way(proxy.repeat), _proxied),
    Scenario("clients-gone", "clients hang up in the middle of a claim", 3_000, 200, network.clients_gone),
    Scenario("forget-scripts", "SCRIPT FLUSH", 200, 20, conditions.forget_scripts, scenario.on_own_server),
    Scenario("out-of-memory", "maxmemory is reached", 10, 2, conditions.run_out_of_memory, scenario.on_own_server),
    Scenario("few-files", "strangers take connections", 10, 2, conditions.run_out_of_files, scenario.with_few_files),
    Scenario("full-disk", "the disk is full", 10, 1, storage.fill_disk, _on_a_small_disk),
    Scenario("cut-file", "the append-only file ends at any byte", 2_000, 30, storage.cut_append_only_file),
    Scenario("cut-half", "half of that file is gone, or more", 20, 2, storage.cut_half_the_file),
    Scenario(
        "set-clock", "the server's clock goes back by hours", 10, 2, conditions.set_clock_back, _with_a_clock, False
    ),
    Scenario("orders", "edits, pauses, resumptions, a close", 300, 24, conditions.give_orders),
)  # fmt: skip
