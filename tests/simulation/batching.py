"""The oracle's rules of queues, batches and waiting.

How long anybody can wait follows from the engine's rules. A claim may be sent, and sent again, until its deadline. The
last call takes `CALL_SECONDS` at most, the pause after it `BACKOFF_SECONDS`, and then the claim is given up. Who queues
waits for people who came earlier, whose own bound has passed by that time. So it is one call beyond the deadline, and
not one for each batch in front.
"""

from collections.abc import Iterator
from itertools import pairwise

from claimd.domain.outcomes import Decision, Outcome
from claimd.store.ports import MAX_BATCH
from tests.simulation.evidence import Evidence
from tests.simulation.history import CLAIMED, REFUSED, UNKNOWN, Call, Submission
from tests.simulation.server import CALL_SECONDS, CALM_CALL_SECONDS
from tests.simulation.telling import Books, said

CALLS_IN_FLIGHT = 2
BACKOFF_SECONDS = 0.25
_SMALL = 1e-6


def bounds(evidence: Evidence, _: Books) -> Iterator[str]:
    """At most 512 claims in a call, two calls in flight for a round of a gateway, and `max_waiting` in a queue."""
    for call in evidence.history.calls:
        if not 1 <= len(call.identities) <= MAX_BATCH:
            yield f"call {call.number} has {len(call.identities)} claims"
        if call.in_flight > CALLS_IN_FLIGHT:
            yield f"call {call.number} is one of {call.in_flight} in flight"
    if evidence.history.deepest_queue > evidence.scenario.limits.max_waiting:
        yield f"{evidence.history.deepest_queue} claims waited, of {evidence.scenario.limits.max_waiting} that may"


def in_order(evidence: Evidence, _: Books) -> Iterator[str]:
    """First come, first served: who was let in is sent in order of arrival, each exactly once but for retries.

    This is also what shows that nobody who was sent was told OVERLOADED, which says that nothing was done.
    """
    for lane in evidence.sent_by_lane.keys() | evidence.first_calls_by_lane.keys():
        due = [submission.identity for submission in evidence.sent_by_lane.get(lane, ())]
        sent = [identity for call in evidence.first_calls_by_lane.get(lane, ()) for identity in call.identities]
        if due != sent:
            yield f"gateway {lane[0]}, {lane[1]}: of {len(due)} claims let in, {len(sent)} were sent, or others"


def in_time(evidence: Evidence, _: Books) -> Iterator[str]:
    """Nobody is sent, or sent again, past the deadline; but until then, whoever has no answer is."""
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


def waits(evidence: Evidence, _: Books) -> Iterator[str]:
    """Nobody is told later than a call and a pause after the deadline; what timers were late by is added."""
    longest = evidence.scenario.limits.deadline_seconds + CALL_SECONDS + BACKOFF_SECONDS
    for submission in evidence.history.submissions:
        told = submission.told[0].at
        allowed = longest if submission.at.position < evidence.calm_from else 2 * CALM_CALL_SECONDS
        allowed += told.lag_seconds - submission.at.lag_seconds + _SMALL
        if told.seconds - submission.at.seconds > allowed:
            yield f"{said(submission)} waited {told.seconds - submission.at.seconds:.3f} s, more than {allowed:.3f} s"


def pauses(evidence: Evidence, _: Books) -> Iterator[str]:
    """Whoever is asked for again is so within `BACKOFF_SECONDS` of the failure."""
    for attempts in evidence.history.attempts:
        for failed, again in pairwise(attempts):
            assert failed.ended is not None
            paused = again.at.seconds - failed.ended.seconds
            if paused > BACKOFF_SECONDS + again.at.lag_seconds - failed.ended.lag_seconds + _SMALL:
                yield f"call {again.number} came {paused:.3f} s after call {failed.number} had failed"


def unknown_for_a_reason(evidence: Evidence, _: Books) -> Iterator[str]:
    """UNAVAILABLE is told where a call has failed; before the deadline, where an answer came that could not be told."""
    failed: dict[tuple[int, str], int] = {}
    for call in evidence.history.calls:
        if call.error:
            failed.setdefault((call.gateway, call.round_id), call.at.position)
    for submission in evidence.history.submissions:
        if submission.outcome is not Outcome.UNAVAILABLE:
            continue
        told = submission.told[0].at
        if failed.get((submission.gateway, submission.round_id), told.position) >= told.position:
            yield f"{said(submission)} was told UNAVAILABLE, and no call of its gateway and round had failed"
        elif submission.let_in and not _given_up_rightly(evidence, submission):
            yield f"{said(submission)} was given up before its deadline"


def _given_up_rightly(evidence: Evidence, submission: Submission) -> bool:
    waited = submission.told[0].at.seconds - submission.at.seconds
    attempts = evidence.history.attempts[evidence.batch_of[submission.number]]
    unknown = any(_is_unknown(call) for call in attempts)
    return (
        waited >= evidence.scenario.limits.deadline_seconds - _SMALL
        or (attempts[-1].answered and unknown)
        or attempts[-1].error.startswith("RuntimeError")
    )


def _is_unknown(call: Call) -> bool:
    return call.error.startswith("StoreUnavailable")


def answers_are_told(evidence: Evidence, _: Books) -> Iterator[str]:
    """An answer is told as it is: a claim always, a refusal where no earlier call may still grant it."""
    for submission in evidence.history.submissions:
        if not submission.let_in or submission.outcome not in UNKNOWN or submission.number not in evidence.batch_of:
            continue
        attempts = evidence.history.attempts[evidence.batch_of[submission.number]]
        last = attempts[-1]
        if not last.answered or submission.told[0].at.position < last.at.position:
            continue
        decided = {d.outcome for d in _decided_for(last, submission.identity)}
        if decided <= CLAIMED or (decided <= REFUSED and not any(map(_is_unknown, attempts))):
            yield f"{said(submission)} was told {submission.outcome}, and the answer was {', '.join(sorted(decided))}"


def _decided_for(call: Call, identity: bytes) -> list[Decision]:
    place = call.identities.index(identity)
    return [decisions[place] for _, decisions in call.decided]
