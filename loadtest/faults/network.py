"""Faults of the network: replies lost, delayed, cut or repeated between gateway and server, silent connections; clients
that hang up.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from claimd.domain.times import HOUR_MS
from loadtest.client.answers import HOLDING, Answer
from loadtest.faults import proxy
from loadtest.faults.claimants import Claimants
from loadtest.faults.environment import require
from loadtest.faults.scenario import Inject, Scenario
from loadtest.faults.waiting import PATIENCE_SECONDS, ViolationError, until
from loadtest.target.console_client import ApiError

# The share of requests whose client hangs up.
_IMPATIENCE: Final = 0.3
_ROUNDS: Final = 20
# The round that operators pause and resume during the silence.
_COMMANDED: Final = "commanded"
# The longest recovery: from silence to a claim decided in every round, and to an operator's commands done.
_RECOVERY_SECONDS: Final = 2.5


def faulty_replies(fault: proxy.ReplyFault, share: float = 0.1) -> Inject:
    """Return an injector in which the proxy applies `fault` to a share of the pieces of replies."""

    async def inject(scenario: Scenario, times: int) -> None:
        between = require(scenario.environment.proxy)
        before = between.applied
        between.share, between.fault = share, fault
        try:
            await until(lambda: scenario.set_injections(between.applied - before) >= times, f"{times} faulty replies")
        finally:
            between.fault = None
        await scenario.recovered(time.monotonic())

    return inject


async def clients_gone(scenario: Scenario, times: int) -> None:
    """Almost a third of the clients hang up within 5 ms of sending their request."""
    claimants = scenario.claimants
    claimants.impatience = _IMPATIENCE
    await until(lambda: scenario.set_injections(claimants.answers[Answer.DROPPED]) >= times, f"{times} hung up")
    claimants.impatience = 0.0
    await scenario.recovered(time.monotonic())


async def silence(scenario: Scenario, times: int) -> None:
    """All connections to the server go silent at once, when 20 rounds have used all there may be; new ones work."""
    between, claimd = require(scenario.environment.proxy), scenario.environment.claimd
    now_ms = int(time.time() * 1000)
    round_ids = [f"silent-{number}" for number in range(_ROUNDS)]
    for round_id in (*round_ids, _COMMANDED):
        scenario.console.create_round(round_id, 1_000_000, now_ms - HOUR_MS, now_ms + 100 * HOUR_MS)
    claimants_of_rounds = [Claimants(claimd.port, claimd.keys, round_id) for round_id in round_ids]
    scenario.figures["commands done after, s"] = commanded = []
    for number in range(times):
        await asyncio.gather(*(_grant(each, 2 * number) for each in claimants_of_rounds))
        await scenario.under_load(0.3)
        between.silence()
        silent_at = time.monotonic()
        command = asyncio.create_task(asyncio.to_thread(_until_done, lambda: _pause_and_resume(scenario)))
        # A second claim in every round: the first may have been in flight before the silence.
        await asyncio.gather(*(_grant(each, 2 * number + 1) for each in claimants_of_rounds))
        scenario.recoveries.append(time.monotonic() - silent_at)
        commanded.append(await command - silent_at)
        slowest = max(scenario.recoveries[-1], commanded[-1])
        if slowest > _RECOVERY_SECONDS:
            raise ViolationError(f"silent for {slowest:.2f} s: claims {scenario.recoveries}, commands {commanded}")
        scenario.count_injection()


async def _grant(claimants: Claimants, claimant: int) -> None:
    """Repeat the claim of one claimant until it is granted."""
    while (await claimants.claim_once(claimant)).answer not in HOLDING:
        pass


def _pause_and_resume(scenario: Scenario) -> None:
    for action in ("pause", "resume"):
        scenario.console.command_round(_COMMANDED, action, "while the network is silent")
    scenario.console.round(_COMMANDED)


def _until_done(command: Callable[[], Any]) -> float:
    """Repeat a command until it succeeds; return the monotonic time. Raises ViolationError after a minute."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with suppress(ApiError):
            command()
            return time.monotonic()
    raise ViolationError("no command succeeded")
