"""Faults of processes that die or are suspended: the server, a gateway, the console, the supervisor."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from typing import Final

from loadtest.client.answers import Answer
from loadtest.faults.environment import new_server, require
from loadtest.faults.scenario import Scenario
from loadtest.faults.waiting import ViolationError, is_alive, until, until_gone
from loadtest.target.valkey import answers

# The longest life of a child after its supervisor was killed.
_ORPHANS_SECONDS: Final = 5.0
_AWAY_SECONDS: Final = 2.5
# Claims that are in flight when a fault begins prove nothing about what comes after.
_IN_FLIGHT_SECONDS: Final = 0.1
# How long readiness may lag: a check that is in flight, and its timeout.
_NOTICED_SECONDS: Final = 1.0
# Longer than a child may be silent before the supervisor replaces it.
_LONGER_THAN_SILENCE_SECONDS: Final = 7.0
_CHILDREN: Final = ("gateway-0", "gateway-1", "console", "valkey")


async def kill_server(scenario: Scenario, times: int) -> None:
    """SIGKILL of the embedded server, always with claims in flight."""
    for _ in range(times):
        # A server that has run for a second is restarted at once, without backoff.
        await asyncio.sleep(scenario.random.uniform(1.05, 1.5))
        await _kill(scenario, "valkey")
        await until(lambda: answers(scenario.environment.server_socket), "the server answers again")
        await scenario.recovered(time.monotonic())
        scenario.count_injection()


async def suspend_server(scenario: Scenario, times: int) -> None:
    """SIGSTOP of the embedded server for up to 6 s, longer than any claim waits; the first time for 6 s."""
    for number in range(times):
        await _suspend(scenario, "valkey", scenario.random.uniform(0.1, 6.0) if number else 6.0)


async def server_away(scenario: Scenario, times: int) -> None:
    """An external server is gone for 2.5 s: readiness reports it, and recovers when the server is back."""
    server = require(scenario.environment.server)
    for _ in range(times):
        await scenario.under_load(0.5)
        server.kill()
        gone_at = time.monotonic()
        await asyncio.sleep(_AWAY_SECONDS)
        statuses = scenario.readiness.statuses_between(gone_at + _NOTICED_SECONDS, time.monotonic())
        if statuses != {503}:
            raise ViolationError(f"readiness answered {statuses} while the server was gone")
        await asyncio.to_thread(server.start)
        await scenario.recovered(time.monotonic())
        await until(lambda: scenario.readiness.latest_status == 200, "readiness 200")
        scenario.count_injection()


async def fail_over(scenario: Scenario, times: int) -> None:
    """SIGKILL of the primary; its replica takes its place and gets a replica of its own."""
    environment = scenario.environment
    for number in range(times):
        primary, replica = require(environment.server), require(environment.replica)
        await scenario.under_load(0.7)
        # For a moment both are primaries: no replica has what the old one grants now, so it must not be acknowledged.
        replica.promote()
        await scenario.under_load(0.1)
        primary.kill()
        require(environment.proxy).server, environment.server = replica.socket, replica
        folder = primary.folder.with_name(f"v{number + 2}")
        environment.replica = await asyncio.to_thread(environment.stack.enter_context, new_server(folder))
        await asyncio.to_thread(environment.replica.replicate, replica)
        await scenario.recovered(time.monotonic())
        await scenario.next_answer(Answer.GRANTED)
        scenario.count_injection()


async def kill_gateway(scenario: Scenario, times: int) -> None:
    """SIGKILL of one of two gateways, with claims in flight."""
    for _ in range(times):
        await scenario.under_load(0.3)
        killed_at = time.monotonic()
        await _kill(scenario, _any_gateway(scenario))
        # The other one serves meanwhile: the recovery is that of this one.
        scenario.recoveries.append(time.monotonic() - killed_at)
        scenario.count_injection()
    _count_children(scenario)


async def suspend_gateway(scenario: Scenario, times: int) -> None:
    """SIGSTOP of one of two gateways for up to 3 s, with claims in flight; then it continues."""
    for _ in range(times):
        await _suspend(scenario, _any_gateway(scenario), scenario.random.uniform(0.1, 3.0))


async def break_console(scenario: Scenario, times: int) -> None:
    """The console is killed, then suspended, in turn: claims go on."""
    pid = scenario.environment.claimd.pid
    for number in range(times):
        await scenario.under_load(0.3)
        broken_at = time.monotonic()
        if number % 2:
            os.kill(pid("console"), signal.SIGSTOP)
            try:
                await scenario.recovered(broken_at + _IN_FLIGHT_SECONDS)
            finally:
                os.kill(pid("console"), signal.SIGCONT)
        else:
            await _kill(scenario, "console")
            await scenario.recovered(broken_at + _IN_FLIGHT_SECONDS)
        scenario.count_injection()
    _count_children(scenario)


async def kill_supervisor(scenario: Scenario, times: int) -> None:
    """SIGKILL of the supervisor: its children die with it, and `claimd up` on the same directory has all claims."""
    for _ in range(times):
        await scenario.under_load(0.5)
        supervisor = scenario.environment.process("supervisor")
        children = supervisor.children()
        supervisor.kill()
        killed_at = time.monotonic()
        await until_gone(children, "the children are gone")
        if time.monotonic() - killed_at > _ORPHANS_SECONDS:
            raise ViolationError("children outlived their supervisor")
        await asyncio.to_thread(scenario.environment.restart)
        await scenario.recovered(time.monotonic())
        _count_children(scenario)
        scenario.count_injection()


async def suspend_supervisor(scenario: Scenario, times: int) -> None:
    """SIGSTOP of the supervisor while a gateway dies: when it continues it restarts that gateway once, and no other.

    The first time it is suspended for longer than a child may be silent.
    """
    claimd = scenario.environment.claimd
    for number in range(times):
        await scenario.under_load(0.5)
        supervisor, name = claimd.pid("supervisor"), _any_gateway(scenario)
        dead = claimd.pid(name)
        others = {each: claimd.pid(each) for each in _CHILDREN if each != name}
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(dead, signal.SIGKILL)
        await asyncio.sleep(scenario.random.uniform(0.25, 0.75) if number else _LONGER_THAN_SILENCE_SECONDS)
        os.kill(supervisor, signal.SIGCONT)
        continued_at = time.monotonic()
        await scenario.replaced(name, dead)
        scenario.recoveries.append(time.monotonic() - continued_at)
        if restarted := [each for each, pid in others.items() if claimd.pid(each) != pid]:
            raise ViolationError(f"{restarted} were healthy and were restarted")
        _count_children(scenario)
        scenario.count_injection()


def _any_gateway(scenario: Scenario) -> str:
    return f"gateway-{scenario.random.randrange(scenario.environment.workers)}"


async def _kill(scenario: Scenario, name: str) -> None:
    """SIGKILL of a child of the supervisor; return when it is replaced."""
    dead = scenario.environment.claimd.pid(name)
    os.kill(dead, signal.SIGKILL)
    await scenario.replaced(name, dead)


async def _suspend(scenario: Scenario, name: str, seconds: float) -> None:
    await scenario.under_load(0.3)
    pid = scenario.environment.claimd.pid(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        # After five seconds the supervisor has replaced it.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    await scenario.recovered(time.monotonic())
    scenario.count_injection()


def _count_children(scenario: Scenario) -> None:
    """Raise ViolationError unless there are one server, one console, and each worker once."""
    environment = scenario.environment
    living = [child for child in environment.process("supervisor").children() if is_alive(child)]
    if len(living) != environment.workers + 2:
        raise ViolationError(f"the supervisor has {len(living)} children: {living}")
