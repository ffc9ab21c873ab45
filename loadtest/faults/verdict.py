"""The verdict on one scenario: the history checker's violations, and those that a history does not show."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

import psutil

from loadtest.client.answers import UNKNOWN, Answer
from loadtest.faults.environment import Environment
from loadtest.faults.scenario import Scenario
from loadtest.history.checker import check
from loadtest.history.export import read_export
from loadtest.history.log import read_log
from loadtest.history.operations import Operations
from loadtest.history.recount import Recount
from loadtest.target.clock import read_valkey_clock
from loadtest.target.valkey import client

# The longest recovery, from the end of a fault to the first claim decided.
_RECOVERY_SECONDS: Final = 5.0
# A gateway's own files, its connections to the server, and some that are still closing.
_FILES_BESIDE_CONNECTIONS: Final = 100


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one scenario. `violations` is empty if every promise was kept.

    `granted` counts claims in the export, `unknown` requests without an answer that decided the claim. `recoveries`
    are seconds.
    """

    tried: int
    operations: int
    granted: int
    unknown: int
    violations: dict[str, Any]
    recoveries: list[float]
    figures: dict[str, Any]
    answers: str

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as `faults.json` has them."""
        fields = asdict(self)
        return {"told" if name == "answers" else name: value for name, value in fields.items()}


def judge(scenario: Scenario, failure: dict[str, Any], clock_is_steady: bool) -> Verdict:
    """Judge a scenario whose claimants have settled. Raises ApiError, RedisError.

    `failure` has the violations found while it ran; slow recoveries and outcomes that are still unknown are added.
    """
    counted = _recount(scenario, clock_is_steady)
    violations: dict[str, Any] = {**counted.violations(), **failure}
    slow = [seconds for seconds in scenario.recoveries if seconds > _RECOVERY_SECONDS]
    if slow:
        violations["back_too_late"] = len(slow)
    if not failure and counted.unsettled:
        violations["unsettled"] = counted.unsettled
    if counted.not_understood:
        violations["not_understood"] = counted.not_understood
    answers = scenario.claimants.answers
    return Verdict(
        tried=scenario.injections,
        operations=len(scenario.claimants.operations),
        granted=counted.exported,
        unknown=sum(count for answer, count in answers.items() if answer in UNKNOWN and answer is not Answer.WRONG),
        violations=violations,
        recoveries=scenario.recoveries,
        figures=scenario.figures,
        answers=scenario.claimants.summary(),
    )


def _recount(scenario: Scenario, clock_is_steady: bool) -> Recount:
    """Run the history checker on the round of the scenario. Raises ApiError, RedisError."""
    console, round_id = scenario.console, scenario.round_id
    export = read_export(console.export(round_id), round_id)
    with client(scenario.environment.server_socket) as redis:
        log = read_log(redis, round_id)
        clock = read_valkey_clock(redis) if clock_is_steady else None
    operations = Operations.of(scenario.claimants.operations)
    return check(export, operations, log=log, audit=console.audit(round_id), clock=clock, gateways_repeat=True)


def open_files(environment: Environment) -> dict[str, Any]:
    """Return the open files of each gateway that has far more than it needs while no client is connected."""
    found = {}
    for number in range(environment.workers):
        with suppress(psutil.NoSuchProcess):
            files = environment.process(f"gateway-{number}").num_fds()
            if files > _FILES_BESIDE_CONNECTIONS:
                found[f"files_left_open_{number}"] = files
    return found
