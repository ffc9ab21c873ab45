"""The rules of the oracle for queues, batches and waiting times.

The longest wait follows from the rules of the engine. A claim may be sent, and sent again, until its deadline. The
last call takes at most `CALL_SECONDS`, the pause after it `BACKOFF_SECONDS`, then the claim is given up. A queued claim
waits for claims that arrived earlier, whose own bound has passed by then. So the bound is one call beyond the deadline,
not one call for each batch in front.
"""

from collections.abc import Iterator
from itertools import pairwise

from claimd.domain.outcomes import Decision, Outcome
from claimd.store.ports import MAX_BATCH
from tests.simulation.answers import ReplayedRounds, described
from tests.simulation.evidence import Evidence
from tests.simulation.history import CLAIMED, REFUSED, UNKNOWN, Call, Submission
from tests.simulation.server import CALL_SECONDS, CALM_CALL_SECONDS

CALLS_IN_FLIGHT = 2
BACKOFF_SECONDS = 0.25
_SMALL = 1e-6


def bounds(evidence: Evidence, _: ReplayedRounds) -> Iterator[str]:
    """At most 512 claims in a call, two calls in flight for a round of a gateway, and `max_waiting` in a queue."""
    for call in evidence.history.calls:
        if not 1 <= len(call.identities) <= MAX_BATCH:
            yield f"call {call.number} has {len(call.identities)} claims"
        if call.in_flight > CALLS_IN_FLIGHT:
            yield f"call {call.number} is one of {call.in_flight} in flight"
    if evidence.history.deepest_queue > evidence.scenario.limits.max_waiting:
        yield f"{evidence.history.deepest_queue} claims waited, of {evidence.scenario.limits.max_waiting} that may"


def in_order(evidence: Evidence, _: ReplayedRounds) -> Iterator[str]:
    """First come, first served: admitted claims are sent in order of arrival, each once, apart from retries.

    It also shows that no claim that was sent was answered OVERLOADED, which promises that it was not decided.
    """
    for lane in evidence.sent_by_lane.keys() | evidence.first_calls_by_lane.keys():
        due = [submission.identity for submission in evidence.sent_by_lane.get(lane, ())]
        sent = [identity for call in evidence.first_calls_by_lane.get(lane, ()) for identity in call.identities]
        if due != sent:
            yield f"gateway {lane[0]}, {lane[1]}: of {len(due)} claims admitted, {len(sent)} were sent, or others"


def in_time(evidence: Evidence, _: ReplayedRounds) -> Iterator[str]:
    """Every call of a batch contains exactly its claims that are within their deadline."""
    batches: dict[int, list[Submission]] = {}
    for submission in evidence.history.submissions:
        if submission.number in evidence.batch_of:
            batches.setdefault(evidence.batch_of[submission.number], []).append(submission)
    for batch, submissions in batches.items():
        for call in evidence.history.attempts[batch]:
            too_old = call.at.seconds - evidence.scenario.limits.deadline_seconds
            due = [submission.identity for submission in submissions if submission.at.seconds > too_old]
            if due != list(call.identities):
                yield f"call {call.number} asks for {len(call.identities)} claims; {len(due)} are within their deadline"


def bounded_waits(evidence: Evidence, _: ReplayedRounds) -> Iterator[str]:
    """Every claim is answered within a call and a pause after its deadline, plus the delay of the timers."""
    longest = evidence.scenario.limits.deadline_seconds + CALL_SECONDS + BACKOFF_SECONDS
    for submission in evidence.history.submissions:
        answered_at = submission.answers[0].at
        allowed = longest if submission.at.position < evidence.calm_from else 2 * CALM_CALL_SECONDS
        allowed += answered_at.lag_seconds - submission.at.lag_seconds + _SMALL
        if answered_at.seconds - submission.at.seconds > allowed:
            waited = answered_at.seconds - submission.at.seconds
            yield f"{described(submission)} waited {waited:.3f} s, more than {allowed:.3f} s"


def pauses(evidence: Evidence, _: ReplayedRounds) -> Iterator[str]:
    """A retry starts within `BACKOFF_SECONDS` of the failure."""
    for attempts in evidence.history.attempts:
        for failed, again in pairwise(attempts):
            assert failed.ended is not None
            paused = again.at.seconds - failed.ended.seconds
            if paused > BACKOFF_SECONDS + again.at.lag_seconds - failed.ended.lag_seconds + _SMALL:
                yield f"call {again.number} came {paused:.3f} s after call {failed.number} had failed"


def unknown_for_a_reason(evidence: Evidence, _: ReplayedRounds) -> Iterator[str]:
    """UNAVAILABLE needs a failed call of the same gateway and round.

    Before the deadline it needs an answer that could not be delivered, because an earlier attempt is unknown, or a bug.
    """
    failed: dict[tuple[int, str], int] = {}
    for call in evidence.history.calls:
        if call.error:
            failed.setdefault((call.gateway, call.round_id), call.at.position)
    for submission in evidence.history.submissions:
        if submission.outcome is not Outcome.UNAVAILABLE:
            continue
        answered_at = submission.answers[0].at
        if failed.get((submission.gateway, submission.round_id), answered_at.position) >= answered_at.position:
            yield f"{described(submission)} was answered UNAVAILABLE, and no call of its gateway and round had failed"
        elif submission.admitted and not _given_up_rightly(evidence, submission):
            yield f"{described(submission)} was given up before its deadline"


def _given_up_rightly(evidence: Evidence, submission: Submission) -> bool:
    waited = submission.answers[0].at.seconds - submission.at.seconds
    attempts = evidence.history.attempts[evidence.batch_of[submission.number]]
    unknown = any(_is_unknown(call) for call in attempts)
    return (
        waited >= evidence.scenario.limits.deadline_seconds - _SMALL
        or (attempts[-1].answered and unknown)
        or attempts[-1].error.startswith("RuntimeError")
    )


def _is_unknown(call: Call) -> bool:
    return call.error.startswith("StoreUnavailable")


def answers_are_delivered(evidence: Evidence, _: ReplayedRounds) -> Iterator[str]:
    """Answers of the server are delivered: a claim always, a refusal if no earlier call can still grant the claim."""
    for submission in evidence.history.submissions:
        if not submission.admitted or submission.outcome not in UNKNOWN or submission.number not in evidence.batch_of:
            continue
        attempts = evidence.history.attempts[evidence.batch_of[submission.number]]
        last = attempts[-1]
        if not last.answered or submission.answers[0].at.position < last.at.position:
            continue
        decided = {d.outcome for d in _decided_for(last, submission.identity)}
        if decided <= CLAIMED or (decided <= REFUSED and not any(map(_is_unknown, attempts))):
            yield f"{described(submission)} was answered {submission.outcome} instead of {', '.join(sorted(decided))}"


def _decided_for(call: Call, identity: bytes) -> list[Decision]:
    place = call.identities.index(identity)
    return [decisions[place] for _, decisions in call.decided]
