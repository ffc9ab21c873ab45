"""Faults that last until they are noticed: a hung gateway or server, a stop while all children hang, an unread log."""

import asyncio
import os
import signal
import time
from typing import Final

from loadtest.faults.environment import require
from loadtest.faults.scenario import Scenario
from loadtest.faults.waiting import ViolationError, is_alive, until, until_gone
from loadtest.target.valkey import answers

# Of two gateways the healthy one gets all of these connections by chance once in 16 million.
_CONNECTIONS_IN_A_ROW: Final = 24
_CONNECTION_SECONDS: Final = 1.0
# The longest stop, whatever hangs.
_STOP_SECONDS: Final = 15.0
_CHILDREN: Final = ("gateway-0", "gateway-1", "console", "valkey")


async def hang_gateway(scenario: Scenario, times: int) -> None:
    """One of two gateways hangs: new connections soon go to the other one, then the hung one is replaced."""
    claimd = scenario.environment.claimd
    for _ in range(times):
        await scenario.under_load(1.0)
        name = f"gateway-{scenario.random.randrange(scenario.environment.workers)}"
        hung, hung_at = claimd.pid(name), time.monotonic()
        os.kill(hung, signal.SIGSTOP)
        while not await _all_connections_are_served(claimd.port):
            pass
        scenario.recoveries.append(time.monotonic() - hung_at)
        await scenario.replaced(name, hung)
        scenario.count_injection()


async def hang_server(scenario: Scenario, times: int) -> None:
    """The embedded server hangs, with claims in flight: it is replaced, with every acknowledged claim."""
    for _ in range(times):
        await scenario.under_load(1.5)
        hung = scenario.environment.claimd.pid("valkey")
        os.kill(hung, signal.SIGSTOP)
        await scenario.new_process("valkey", hung)
        await until(lambda: answers(scenario.environment.server_socket), "the server answers again")
        await scenario.recovered(time.monotonic())
        scenario.count_injection()


async def stop_while_hung(scenario: Scenario, times: int) -> None:
    """SIGTERM while all children hang: the stop is over in time, and leaves no process and loses no claim."""
    environment = scenario.environment
    for _ in range(times):
        await scenario.under_load(0.5)
        supervisor = environment.process("supervisor")
        children = [environment.process(name) for name in _CHILDREN]
        for child in children:
            child.suspend()
        asked_at = time.monotonic()
        supervisor.terminate()
        await until_gone([supervisor], "the stop is over")
        if time.monotonic() - asked_at > _STOP_SECONDS:
            raise ViolationError(f"the stop took {time.monotonic() - asked_at:.1f} s")
        if any(map(is_alive, children)):
            raise ViolationError("a child outlived the stop")
        await asyncio.to_thread(environment.restart)
        await scenario.recovered(time.monotonic())
        scenario.count_injection()


async def unread_log(scenario: Scenario, times: int) -> None:
    """The log is a full pipe while a gateway and the server die: claims go on, and later the log has every line."""
    claimd, reader = scenario.environment.claimd, require(scenario.environment.log_reader)
    for number in range(times):
        await scenario.under_load(0.5)
        reader.stop_reading()
        name = f"gateway-{number % scenario.environment.workers}"
        dead = {each: claimd.pid(each) for each in (name, "valkey")}
        for pid in dead.values():
            os.kill(pid, signal.SIGKILL)
        for each, pid in dead.items():
            await scenario.new_process(each, pid)
        await until(lambda: answers(scenario.environment.server_socket), "the server answers again")
        await scenario.recovered(time.monotonic())
        reader.resume_reading()
        for each in dead:
            await scenario.logged_as_back(each)
        scenario.count_injection()


async def _all_connections_are_served(port: int) -> bool:
    """Return whether 24 new connections in a row are served, each within a second."""
    for _ in range(_CONNECTIONS_IN_A_ROW):
        try:
            async with asyncio.timeout(_CONNECTION_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(b"GET /healthz HTTP/1.1\r\nHost: claimd\r\nConnection: close\r\n\r\n")
                    await reader.readuntil(b"\r\n\r\n")
                finally:
                    writer.transport.abort()
        except (OSError, EOFError, TimeoutError):
            return False
    return True
