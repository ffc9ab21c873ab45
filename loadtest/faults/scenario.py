"""A fault under load: an environment, one round with claimants and operators, and what a fault can wait for."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

from loadtest.client.answers import Answer
from loadtest.faults.claimants import Claimants
from loadtest.faults.environment import Environment
from loadtest.faults.operators import Operators
from loadtest.faults.readiness import Readiness
from loadtest.faults.waiting import until
from loadtest.target.console_client import ConsoleClient


@dataclass(slots=True)
class Scenario:
    """An environment with claimants and operators of one round. `progress` gets the number of injections so far."""

    environment: Environment
    round_id: str
    claimants: Claimants
    operators: Operators
    console: ConsoleClient
    readiness: Readiness
    progress: Callable[[int], None]
    random: Random = field(default_factory=lambda: Random(1))
    recoveries: list[float] = field(default_factory=list)
    """Seconds from the end of each fault to the first claim decided after it."""
    injections: int = 0
    figures: dict[str, Any] = field(default_factory=dict)

    def count_injection(self) -> None:
        """Record one more injection of the fault."""
        self.set_injections(self.injections + 1)

    def set_injections(self, number: int) -> int:
        """Record the number of injections so far, and return it."""
        self.injections = number
        self.progress(number)
        return number

    async def recovered(self, fault_ended_at: float) -> None:
        """Wait for a claim decided after a monotonic time, and record the seconds between. Raises StuckError."""
        self.recoveries.append(await self.claimants.decided_after(fault_ended_at) - fault_ended_at)

    async def next_answer(self, *wanted: Answer) -> None:
        """Wait for one more answer that is one of these. Raises ViolationError."""

        def count() -> int:
            return sum(self.claimants.answers[answer] for answer in wanted)

        so_far = count()
        await until(lambda: count() > so_far, f"an answer {' or '.join(answer.name for answer in wanted)}")

    async def under_load(self, seconds: float) -> None:
        """Let the claimants claim for 0.5 to 1.5 times `seconds`."""
        await asyncio.sleep(seconds * self.random.uniform(0.5, 1.5))

    async def new_process(self, name: str, old_pid: int) -> None:
        """Wait until the supervisor has started a new process for `name`. Raises ViolationError."""
        await until(lambda: self.environment.claimd.pid(name) != old_pid, f"a new process for {name}")

    async def replaced(self, name: str, old_pid: int) -> None:
        """Wait until a new process for `name` is ready, by the supervisor's log. Raises ViolationError."""
        await self.new_process(name, old_pid)
        await self.logged_as_back(name)

    async def logged_as_back(self, name: str) -> None:
        """Wait for the log line that the process `name` is back. Raises ViolationError."""
        claimd = self.environment.claimd
        line = f"{name} is back (pid {claimd.pid(name)})"
        await until(lambda: line in claimd.log.read_text(errors="replace"), line)


# Injects a fault so many times.
Inject: TypeAlias = Callable[[Scenario, int], Awaitable[None]]
