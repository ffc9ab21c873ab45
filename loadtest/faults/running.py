"""Runs one scenario from its start to its verdict: a new round, its claimants and operators, a fault, the judgement."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import psutil

from claimd.domain.times import HOUR_MS
from loadtest.faults import verdict
from loadtest.faults.claimants import Claimants, StuckError
from loadtest.faults.environment import Environment
from loadtest.faults.operators import Operators
from loadtest.faults.readiness import Readiness
from loadtest.faults.scenario import Inject, Scenario
from loadtest.faults.verdict import Verdict
from loadtest.faults.waiting import PATIENCE_SECONDS, ViolationError
from loadtest.target.console_client import ApiError, ConsoleClient

_FIRST_TOTAL: Final = 10_000
# More than there can be claims.
_AMPLE_TOTAL: Final = 2**31


async def run_scenario(
    environment: Environment,
    round_id: str,
    inject: Inject,
    times: int,
    progress: Callable[[int], None],
    *,
    clock_is_steady: bool = True,
    stock_changes: bool = True,
) -> Verdict:
    """Run `inject` under load in a new round, let the claimants settle, and judge the history.

    `clock_is_steady` is whether the server's clock is never set. With `stock_changes` operators keep changing the
    total, else there is enough for every claimant. Raises StuckError, ApiError, OSError.
    """
    claimd = environment.claimd
    console = ConsoleClient(claimd.console_url, claimd.admin_token)
    now_ms = int(time.time() * 1000)
    total = _FIRST_TOTAL if stock_changes else _AMPLE_TOTAL
    console.create_round(round_id, total, now_ms - HOUR_MS // 6, now_ms + 100 * HOUR_MS)
    claimants = Claimants(claimd.port, claimd.keys, round_id)
    operators = Operators(console, round_id)
    failure: dict[str, Any] = {}
    async with claimants, Readiness(claimd.port) as readiness:
        scenario = Scenario(environment, round_id, claimants, operators, console, readiness, progress)
        changing = asyncio.create_task(operators.keep_changing_total() if stock_changes else asyncio.sleep(0))
        try:
            await claimants.decided_after(time.monotonic())
            scenario.figures["gateway MiB before"] = _memory_mib(environment)
            await inject(scenario, times)
            if stock_changes and changing.done():
                # Raises what ended the operators: without them most answers would be replays and refusals.
                changing.result()
        except ViolationError as error:
            failure["broken"] = str(error)
        except StuckError as error:
            failure["stuck"] = str(error)
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)
            await claimants.stop()
        if not failure:
            await claimants.settle()
            failure = verdict.open_files(environment)
            scenario.figures["gateway MiB after"] = _memory_mib(environment)
    return await _judge_once_the_console_answers(scenario, failure, clock_is_steady)


async def _judge_once_the_console_answers(
    scenario: Scenario, failure: dict[str, Any], clock_is_steady: bool
) -> Verdict:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return verdict.judge(scenario, failure, clock_is_steady)
        except ApiError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)


def _memory_mib(environment: Environment) -> list[int]:
    """Return the resident memory of each gateway, in MiB. One that was started again begins anew."""
    pids = [environment.claimd.pid(f"gateway-{number}") for number in range(environment.workers)]
    return [psutil.Process(pid).memory_info().rss >> 20 for pid in pids if psutil.pid_exists(pid)]
