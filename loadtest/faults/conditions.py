"""Faults around a server that works: scripts flushed, memory and open files used up, operators, a wrong clock."""

import asyncio
import time
from typing import Any, Final

from claimd.domain.claims import IDENTITY_BYTES
from claimd.domain.times import HOUR_MS, to_rfc3339
from claimd.store.redis import keys
from loadtest.client.answers import Answer
from loadtest.faults.claimants import Claimants
from loadtest.faults.environment import FEW_FILES, clock_file, require
from loadtest.faults.idle_clients import IdleClients
from loadtest.faults.scenario import Scenario
from loadtest.faults.waiting import ViolationError, until
from loadtest.target.valkey import Valkey

_LATER: Final = "later"
# What may still be allocated until memory is full.
_HEADROOM_BYTES: Final = 200_000
# Nearly as many as a gateway may have open files.
_IDLE_CLIENTS: Final = FEW_FILES - 10


async def forget_scripts(scenario: Scenario, times: int) -> None:
    """Flush the script cache of the server (SCRIPT FLUSH) under load."""
    server = require(scenario.environment.server)
    with server.client() as redis:
        for _ in range(times):
            await scenario.under_load(0.05)
            redis.script_flush()
            await scenario.recovered(time.monotonic())
            scenario.count_injection()


async def run_out_of_memory(scenario: Scenario, times: int) -> None:
    """`maxmemory` is reached: claims are answered 503, none is written in part, and they go on once there is room."""
    server = require(scenario.environment.server)
    with server.client() as redis:
        for _ in range(times):
            await scenario.under_load(0.3)
            used: Any = redis.info("memory")
            redis.config_set("maxmemory", used["used_memory"] + _HEADROOM_BYTES)
            await asyncio.gather(
                until(lambda: scenario.readiness.latest_status == 503, "readiness 503"),
                scenario.next_answer(Answer.UNAVAILABLE, Answer.OVERLOADED),
            )
            _check_atomicity(scenario, redis)
            redis.config_set("maxmemory", 0)
            await scenario.recovered(time.monotonic())
            scenario.count_injection()


async def run_out_of_files(scenario: Scenario, times: int) -> None:
    """Idle clients take every connection while the server restarts: clients connected before are served again."""
    server = require(scenario.environment.server)
    async with IdleClients(scenario.environment.claimd.port, _IDLE_CLIENTS) as idle:
        await until(lambda: idle.closed, "a connection is rejected")
        for _ in range(times):
            await scenario.under_load(0.3)
            server.kill()
            # The idle clients also take the files that the gateway's connections to the server have freed.
            await scenario.under_load(1.0)
            await asyncio.to_thread(server.start)
            await scenario.recovered(time.monotonic())
            scenario.count_injection()
    await until(lambda: scenario.readiness.latest_status == 200, "readiness 200, once there are connections")


async def edit_and_command(scenario: Scenario, times: int) -> None:
    """Operators edit total, window and title, pause and resume the round, and at the end close it."""
    now_ms = int(time.time() * 1000)
    soon = to_rfc3339(now_ms + HOUR_MS)
    open_again = to_rfc3339(now_ms - HOUR_MS)
    operators = scenario.operators
    actions = (
        lambda: operators.command("pause"),
        lambda: operators.command("resume"),
        lambda: operators.edit({"opens_at": soon}),
        lambda: operators.edit({"opens_at": open_again}),
        lambda: operators.edit({"title": f"The {scenario.injections}th title"}),
        operators.change_total,
    )
    for number in range(times):
        # An action that stops the round is followed by the one that resumes it, so that most claims are granted.
        await actions[number % len(actions)]()
        await scenario.under_load(0.02)
        scenario.count_injection()
    await operators.command("close")


async def set_clock_back(scenario: Scenario, times: int) -> None:
    """The server's clock is set an hour ahead and back: an open round stays open, others open by the clock.

    Two hours back are no correction: then, and after an edit of the window, a round follows the clock again.
    """
    server, claimd = require(scenario.environment.server), scenario.environment.claimd
    now_ms = int(time.time() * 1000)
    opens_at_ms = now_ms + HOUR_MS // 2
    long_ago = to_rfc3339(now_ms - 3 * HOUR_MS)
    scenario.console.edit_round(scenario.round_id, {"opens_at": long_ago, "reason": "open at any time of the clock"})
    scenario.console.create_round(_LATER, 1_000_000, opens_at_ms, opens_at_ms + 100 * HOUR_MS)
    later = Claimants(claimd.port, claimd.keys, _LATER)
    # Before the first grant a round follows the clock.
    for hours, expected in ((-1, Answer.NOT_OPEN), (0, Answer.NOT_OPEN), (1, Answer.GRANTED)):
        await _set_clock(scenario, server, hours)
        await _expect(later, expected, hours)
    for _ in range(times):
        for hours in (0, 1):
            await _set_clock(scenario, server, hours)
            await _expect(later, Answer.GRANTED, hours)
            await scenario.under_load(0.2)
        scenario.count_injection()
    await _set_clock(scenario, server, -1)
    await _expect(later, Answer.NOT_OPEN, -1)
    for opens_at, expected in ((long_ago, Answer.GRANTED), (to_rfc3339(opens_at_ms), Answer.NOT_OPEN)):
        scenario.console.edit_round(_LATER, {"opens_at": opens_at, "reason": "an edit of the window"})
        await _expect(later, expected, -1)
    await _set_clock(scenario, server, 0)
    if early := scenario.claimants.answers[Answer.NOT_OPEN]:
        raise ViolationError(f"an open round answered not_open {early} times")


async def _set_clock(scenario: Scenario, server: Valkey, hours: int) -> None:
    clock_file(server.folder).write_text(f"{hours * 3600:+d}\n")
    with server.client() as redis:
        await until(lambda: abs(_seconds(redis) - time.time() - hours * 3600) < 60, "the server's clock is set")
    await scenario.recovered(time.monotonic())


async def _expect(claimants: Claimants, expected: Answer, hours: int) -> None:
    """Raise ViolationError unless a new claimant gets this answer. `hours` is the offset of the clock."""
    operation = await claimants.claim_once(len(claimants.operations) + 1)
    if operation.answer is not expected:
        raise ViolationError(f"with the clock at {hours:+d} h: {operation.answer.name}, not {expected.name}")


def _seconds(redis: Any) -> float:
    seconds, microseconds = redis.time()
    return float(seconds) + float(microseconds) / 1e6


def _check_atomicity(scenario: Scenario, redis: Any) -> None:
    """Raise ViolationError unless counter, claims and log agree, read in one transaction under load."""
    pipeline = redis.pipeline(transaction=True)
    of_round = keys.of_round(scenario.round_id)
    pipeline.hget(of_round.round, "issued")
    pipeline.hlen(of_round.claims)
    pipeline.xrevrange(of_round.log, count=50)
    issued, claims, entries = pipeline.execute()
    newest = next((fields for _, fields in entries if b"grants" in fields), None)
    logged = int(issued) if newest is None else int(newest[b"first"]) - 1 + len(newest[b"identities"]) // IDENTITY_BYTES
    if not int(issued) == claims == logged:
        raise ViolationError(f"written in part: issued {int(issued)}, claims {claims}, logged {logged}")
