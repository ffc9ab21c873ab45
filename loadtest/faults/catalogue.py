"""The catalogue of faults: the name of each, what it does, how often, and in which environment."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.faults import conditions, environment, hanging, network, processes, proxy, storage
from loadtest.faults.environment import Environment, EnvironmentFactory
from loadtest.faults.running import run_scenario
from loadtest.faults.scenario import Inject
from loadtest.faults.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault is injected `times` times in a full run, `short` times in the tests."""

    name: str
    what: str
    times: int
    short: int
    inject: Inject
    environment: EnvironmentFactory = environment.embedded
    clock_is_steady: bool = True
    stock_changes: bool = True

    def run(self, home: Path, times: int, progress: Callable[[int], None]) -> Verdict:
        """Run the scenario of this fault in an environment of its own in the folder `home`.

        Raises SkippedError where this machine cannot, TargetError, StuckError, ApiError or OSError.
        """
        with self.environment(home) as running:
            return self.run_in(running, times, progress)

    def run_in(self, running: Environment, times: int, progress: Callable[[int], None]) -> Verdict:
        """Run the scenario in a round of its own of an environment that runs. Raises StuckError, ApiError, OSError."""
        return asyncio.run(
            run_scenario(
                *(running, self.name, self.inject, times, progress),
                clock_is_steady=self.clock_is_steady,
                stock_changes=self.stock_changes,
            )
        )


_external, _proxied, _two_workers = environment.external_server, environment.behind_a_proxy, environment.two_workers
_faulty = network.faulty_replies

FAULTS: Final = (
    Fault("kill-server", "kill -9 of the server, mid-batch", 50, 3, processes.kill_server),
    Fault("stop-server", "the server is suspended, up to 6 s", 10, 1, processes.suspend_server),
    Fault("server-away", "the external server is gone for 2.5 s", 5, 1, processes.server_away, _external),
    # Claims that only the lost primary had are granted anew: after `sold_out` there would be stock again.
    Fault(
        *("fail-over", "kill -9 of the primary, the replica takes over", 10, 1),
        *(processes.fail_over, environment.with_a_replica),
        stock_changes=False,
    ),
    Fault("kill-gateway", "kill -9 of one of two gateways", 30, 3, processes.kill_gateway, _two_workers),
    Fault("stop-gateway", "a gateway is suspended, up to 3 s", 10, 1, processes.suspend_gateway, _two_workers),
    Fault("break-console", "the console is killed, or suspended", 10, 2, processes.break_console),
    Fault("kill-supervisor", "kill -9 of the supervisor", 5, 1, processes.kill_supervisor, _two_workers),
    Fault("stop-supervisor", "supervisor suspended, a gateway dies", 5, 1, processes.suspend_supervisor, _two_workers),
    Fault("hang-gateway", "a gateway hangs for good", 10, 1, hanging.hang_gateway, _two_workers),
    Fault("hang-server", "the embedded server hangs for good", 10, 1, hanging.hang_server),
    Fault("stop-hung", "SIGTERM while all children hang", 5, 1, hanging.stop_while_hung, _two_workers),
    Fault("unread-log", "the log is full, and two processes die", 10, 1, hanging.unread_log, environment.log_to_a_pipe),
    Fault("lose-replies", "a call is executed, its reply is lost", 500, 20, _faulty(proxy.lose), _proxied),
    Fault("late-replies", "replies late by up to 3 s", 100, 5, _faulty(proxy.delay), _proxied),
    Fault("cut-replies", "half a reply, then the end", 500, 20, _faulty(proxy.cut), _proxied),
    Fault("black-hole", "no reply, and the connection stays open", 20, 2, _faulty(proxy.swallow), _proxied),
    Fault("silent-network", "all connections to the server go silent", 20, 2, network.silence, _proxied),
    Fault("double-replies", "every tenth reply comes twice", 500, 80, _faulty(proxy.repeat), _proxied),
    Fault("clients-gone", "clients hang up during a claim", 3_000, 200, network.clients_gone),
    Fault("forget-scripts", "SCRIPT FLUSH", 200, 20, conditions.forget_scripts, _external),
    Fault("out-of-memory", "maxmemory is reached", 10, 2, conditions.run_out_of_memory, _external),
    Fault("few-files", "idle clients take all connections", 10, 2, conditions.run_out_of_files, environment.few_files),
    Fault("full-disk", "the disk is full", 10, 1, storage.fill_disk, environment.small_disk),
    Fault("cut-file", "the append-only file ends at any byte", 2_000, 30, storage.cut_append_only_file),
    Fault("cut-half", "half of that file is gone, or more", 20, 2, storage.cut_half_the_file),
    Fault(
        *("set-clock", "the server's clock goes back by hours", 10, 2),
        *(conditions.set_clock_back, environment.settable_clock, False),
    ),
    Fault("operators", "edits, pauses, resumptions, a close", 300, 24, conditions.edit_and_command),
)
