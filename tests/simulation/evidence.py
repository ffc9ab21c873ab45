"""The input of the oracle after a run: the history, and the two records of every grant in the store."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property

from claimd.domain.claims import Claim
from claimd.domain.log import LogEntry
from claimd.domain.outcomes import Decision, Outcome
from tests.simulation.history import CLAIMED, Call, History, Submission
from tests.simulation.scenario import Scenario

# A gateway and a round: each such pair has a queue of its own.
Lane = tuple[int, str]


@dataclass
class Evidence:
    """Everything that is known of a finished run.

    From the position `calm_from` on there are no faults and no call is under way. `logs` and `held` are the log and the
    claims of each round. `counted` is the metric of claims of all gateways, by round and outcome.
    """

    scenario: Scenario
    history: History
    logs: dict[str, list[LogEntry]]
    held: dict[str, list[tuple[bytes, Claim]]]
    calm_from: int
    counted: Counter[tuple[str, str]]

    @cached_property
    def batch_of(self) -> dict[int, int]:
        """The batch that each submission was sent in, derived from the order of arrival; see `batching.in_order`."""
        found: dict[int, int] = {}
        for lane, submissions in self.sent_by_lane.items():
            calls = self.first_calls_by_lane.get(lane, [])
            batches = [call.batch for call in calls for _ in call.identities]
            found.update(zip((submission.number for submission in submissions), batches, strict=False))
        return found

    @cached_property
    def sent_by_lane(self) -> dict[Lane, list[Submission]]:
        """The submissions that must have been sent, in order of arrival: admitted and not answered OVERLOADED."""
        lanes: dict[Lane, list[Submission]] = defaultdict(list)
        for submission in self.history.submissions:
            if submission.admitted and submission.outcome is not Outcome.OVERLOADED:
                lanes[submission.gateway, submission.round_id].append(submission)
        return lanes

    @cached_property
    def first_calls_by_lane(self) -> dict[Lane, list[Call]]:
        """The first attempt of each batch, in order."""
        lanes: dict[Lane, list[Call]] = defaultdict(list)
        for call in self.history.calls:
            if call.attempt == 1:
                lanes[call.gateway, call.round_id].append(call)
        return lanes

    @cached_property
    def decisions(self) -> dict[tuple[int, bytes], list[tuple[bool, Decision]]]:
        """All decisions of the server by batch and identity; each with whether a duplicate of a call made it."""
        found: dict[tuple[int, bytes], list[tuple[bool, Decision]]] = defaultdict(list)
        for call in self.history.calls:
            for time, (_, decisions) in enumerate(call.decided):
                for identity, decision in zip(call.identities, decisions, strict=True):
                    found[call.batch, identity].append((time > 0, decision))
        return found

    @cached_property
    def claimed_from(self) -> dict[tuple[str, bytes], int]:
        """The position at which each identity was first answered with a claim, by round and identity."""
        first: dict[tuple[str, bytes], int] = {}
        for submission in self.history.submissions:
            for at, decision in submission.answers:
                if decision.outcome in CLAIMED:
                    claimant = submission.round_id, submission.identity
                    first[claimant] = min(first.get(claimant, at.position), at.position)
        return first
