"""Counts how often a run met each fault, outcome and combination, so that a test can require them all."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from claimd.domain.outcomes import Outcome
from claimd.store.ports import MAX_BATCH
from tests.simulation.evidence import Evidence
from tests.simulation.history import REFUSED, Submission


def coverage(evidence: Evidence, freezes: int) -> Counter[str]:
    """The number of each fault and outcome by name, and of the rare combinations that the promises are about."""
    history = evidence.history
    met = Counter(history.met)
    met["the loop froze"] = freezes
    met["claims"] = len(history.submissions)
    met["calls"] = len(history.calls)
    for submission in history.submissions:
        met[f"answered {submission.outcome.value}"] += 1
        met.update(_of_submission(evidence, submission))
    for attempts in history.attempts:
        met["a batch asked again"] += len(attempts) > 1
        met["a full batch"] += len(attempts[0].identities) == MAX_BATCH
        met["two calls in flight"] += attempts[0].in_flight > 1
        met["an earlier attempt decided after a later one"] += any(
            early.decided and late.decided and early.decided[0][0].position > late.decided[0][0].position
            for early, late in pairwise(attempts)
        )
    return +met


def _of_submission(evidence: Evidence, submission: Submission) -> Iterator[str]:
    answered_at = submission.answers[0].at.position
    batch = evidence.batch_of.get(submission.number)
    if not submission.admitted:
        yield f"not admitted: {submission.outcome.value}"
        return
    if batch is None:
        yield "dropped at its deadline, never sent"
        return
    first = [
        (moment.position, decisions[call.identities.index(submission.identity)])
        for call in evidence.history.attempts[batch]
        for moment, decisions in call.decided[:1]
        if submission.identity in call.identities
    ]
    if submission.outcome is Outcome.UNAVAILABLE:
        yield "sent, and answered unavailable"
        if any(position > answered_at and decision.outcome is Outcome.GRANTED for position, decision in first):
            yield "granted after it was answered unavailable"
            if any(position < answered_at and decision.outcome in REFUSED for position, decision in first):
                yield "granted by a late call after a later one refused it"
    if submission.outcome in REFUSED and any(
        duplicate and decision.serial for duplicate, decision in evidence.decisions[batch, submission.identity]
    ):
        yield "a duplicate granted what had been refused"
