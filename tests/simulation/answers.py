"""The rules of the oracle for the answers to claims. They follow from the promises, not from the engine."""

from collections import Counter
from collections.abc import Iterator

from claimd.domain.outcomes import Outcome
from tests.simulation.evidence import Evidence
from tests.simulation.history import CLAIMED, REFUSED, UNKNOWN, Submission, person
from tests.simulation.replayed_log import ReplayedRound
from tests.simulation.server import UNFORESEEN

ReplayedRounds = dict[str, ReplayedRound]


def no_errors(evidence: Evidence, _: ReplayedRounds) -> Iterator[str]:
    """The event loop reported no exception but those that the simulation itself raised."""
    for error in evidence.history.errors:
        if UNFORESEEN not in str(error):
            yield f"{type(error).__name__}: {error}"


def described(submission: Submission) -> str:
    """One submission, as the subject of a sentence."""
    return (
        f"#{submission.number} ({person(submission.identity)} of {submission.round_id}, gateway {submission.gateway})"
    )


def once(evidence: Evidence, _: ReplayedRounds) -> Iterator[str]:
    """Every submission has exactly one answer."""
    for submission in evidence.history.submissions:
        if len(submission.answers) != 1:
            yield f"{described(submission)} was answered {len(submission.answers)} times"


def true_claims(evidence: Evidence, replayed: ReplayedRounds) -> Iterator[str]:
    """An answer with a claim has serial and time of one that the identity holds or held, each GRANTED once at most."""
    granted: Counter[tuple[str, int]] = Counter()
    for submission in evidence.history.submissions:
        decision = submission.answers[0].decision
        if decision.outcome in CLAIMED:
            answered = decision.serial, decision.claimed_at_ms
            held = replayed[submission.round_id].ever_held(submission.identity)
            if answered not in held:
                yield f"{described(submission)} was answered serial and time {answered}, and holds {held}"
        if decision.outcome is Outcome.GRANTED:
            granted[submission.round_id, decision.serial] += 1
            if granted[submission.round_id, decision.serial] == 2:
                yield f"{described(submission)} was answered GRANTED, as was an earlier submission of the same identity"


def own_decisions(evidence: Evidence, _: ReplayedRounds) -> Iterator[str]:
    """An answer other than UNKNOWN is a decision of the server for this identity, in a call of its own batch."""
    for submission in evidence.history.submissions:
        decision = submission.answers[0].decision
        if decision.outcome in UNKNOWN:
            continue
        batch = evidence.batch_of.get(submission.number, -1)
        if all(decision != decided for _, decided in evidence.decisions.get((batch, submission.identity), ())):
            yield f"{described(submission)} was answered {decision}, which the server never decided for it"


def no_refusal_of_a_grant(evidence: Evidence, _: ReplayedRounds) -> Iterator[str]:
    """No refusal where a call of the same batch granted the claim, or does so later.

    Grants by a duplicate of an answered call are left out: no connection delivers a call twice, and a proxy that does
    so cannot be distinguished from other clients.
    """
    for submission in evidence.history.submissions:
        if submission.outcome in REFUSED:
            decided = evidence.decisions.get((evidence.batch_of.get(submission.number, -1), submission.identity), ())
            if any(decision.serial and not duplicate for duplicate, decision in decided):
                yield f"{described(submission)} was answered {submission.outcome}, and its own batch granted it"


def no_refusal_after_a_claim(evidence: Evidence, replayed: ReplayedRounds) -> Iterator[str]:
    """A submission after an answer with a claim to the same identity is never refused, where none was voided."""
    for submission in evidence.history.submissions:
        if submission.round_id in replayed and submission.identity in replayed[submission.round_id].voided:
            continue
        claimed_from = evidence.claimed_from.get((submission.round_id, submission.identity))
        if submission.outcome in REFUSED and claimed_from is not None and claimed_from < submission.at.position:
            yield f"{described(submission)} was answered {submission.outcome}, after an answer with its claim"


def barred_for_a_reason(evidence: Evidence, replayed: ReplayedRounds) -> Iterator[str]:
    """Who is answered BARRED had a claim that was voided so."""
    for submission in evidence.history.submissions:
        if submission.outcome is Outcome.BARRED and submission.identity not in replayed[submission.round_id].barred:
            yield f"{described(submission)} was answered BARRED, and is not"


def real_time_order(evidence: Evidence, replayed: ReplayedRounds) -> Iterator[str]:
    """A claim that was answered before another identity first arrived has the smaller serial."""
    events: list[tuple[int, str, int, Submission | None]] = []
    asked: set[tuple[str, bytes]] = set()
    for submission in evidence.history.submissions:
        claimant = submission.round_id, submission.identity
        if claimant not in asked:
            asked.add(claimant)
            held = (
                replayed[submission.round_id].claims.get(submission.identity)
                if submission.round_id in replayed
                else None
            )
            if held:
                events.append((submission.at.position, submission.round_id, held[0], submission))
        at, decision = submission.answers[0]
        if decision.serial:
            events.append((at.position, submission.round_id, decision.serial, None))
    newest: Counter[str] = Counter()
    for _, round_id, serial, first_ask in sorted(events, key=lambda event: event[0]):
        if first_ask is None:
            newest[round_id] = max(newest[round_id], serial)
        elif serial < newest[round_id]:
            yield f"{described(first_ask)} got serial {serial}, and {newest[round_id]} was answered before it arrived"


def all_settled(evidence: Evidence, replayed: ReplayedRounds) -> Iterator[str]:
    """In the end every holder of a claim was answered with it.

    Except an identity that was refused and then granted by a duplicate of the same call: no client can know of it.
    """
    by_duplicate = {
        identity for (_, identity), decided in evidence.decisions.items() if any(d and x.serial for d, x in decided)
    }
    asked = {(submission.round_id, submission.identity) for submission in evidence.history.submissions}
    for round_id, replay in replayed.items():
        for identity in replay.claims:
            claimant = round_id, identity
            if claimant in asked and claimant not in evidence.claimed_from and identity not in by_duplicate:
                yield f"{person(identity)} holds a claim of {round_id} and was never answered with it"


def counted(evidence: Evidence, _: ReplayedRounds) -> Iterator[str]:
    """The metrics of the gateways count the outcomes that were answered."""
    answered = Counter((submission.round_id, submission.outcome) for submission in evidence.history.submissions)
    if answered != evidence.counted:
        yield f"the metrics have {dict(evidence.counted)}, and the answers were {dict(answered)}"
