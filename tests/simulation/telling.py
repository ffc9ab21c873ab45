"""The oracle's rules of what people may be told. Written from the promises, not from the engine."""

from collections import Counter
from collections.abc import Iterator

from claimd.domain.outcomes import Outcome
from tests.simulation.book import Book
from tests.simulation.evidence import Evidence
from tests.simulation.history import CLAIMED, REFUSED, UNKNOWN, Submission, person
from tests.simulation.server import UNFORESEEN

Books = dict[str, Book]


def no_errors(evidence: Evidence, _: Books) -> Iterator[str]:
    """Nothing raises but what the simulation itself raised."""
    for error in evidence.history.errors:
        if UNFORESEEN not in str(error):
            yield f"{type(error).__name__}: {error}"


def said(submission: Submission) -> str:
    """One submission in a sentence about it."""
    return (
        f"#{submission.number} ({person(submission.identity)} of {submission.round_id}, gateway {submission.gateway})"
    )


def once(evidence: Evidence, _: Books) -> Iterator[str]:
    """Everybody is told exactly once."""
    for submission in evidence.history.submissions:
        if len(submission.told) != 1:
            yield f"{said(submission)} was told {len(submission.told)} times"


def true_claims(evidence: Evidence, books: Books) -> Iterator[str]:
    """Who is told a claim holds it, with that serial and that time; and is told GRANTED at most once."""
    granted: Counter[tuple[str, bytes]] = Counter()
    for submission in evidence.history.submissions:
        decision = submission.told[0].decision
        if decision.outcome in CLAIMED:
            told = decision.serial, decision.claimed_at_ms
            held = books[submission.round_id].claims.get(submission.identity)
            if told != held:
                yield f"{said(submission)} was told serial and time {told}, and holds {held}"
        if decision.outcome is Outcome.GRANTED:
            granted[submission.round_id, submission.identity] += 1
            if granted[submission.round_id, submission.identity] == 2:
                yield f"{said(submission)} was told GRANTED, as was the same person before"


def own_decisions(evidence: Evidence, _: Books) -> Iterator[str]:
    """What is told for certain is what the server decided for this person, in a call of this very batch."""
    for submission in evidence.history.submissions:
        decision = submission.told[0].decision
        if decision.outcome in UNKNOWN:
            continue
        batch = evidence.batch_of.get(submission.number, -1)
        if all(decision != decided for _, decided in evidence.decisions.get((batch, submission.identity), ())):
            yield f"{said(submission)} was told {decision}, which the server never decided for it"


def no_refusal_of_a_grant(evidence: Evidence, _: Books) -> Iterator[str]:
    """No refusal where a call of the same batch granted the claim, or does so later.

    Only what a duplicate of an answered call grants is left out: no connection delivers twice, and a proxy that does
    cannot be told from the crowd.
    """
    for submission in evidence.history.submissions:
        if submission.outcome in REFUSED:
            decided = evidence.decisions.get((evidence.batch_of.get(submission.number, -1), submission.identity), ())
            if any(decision.serial and not duplicate for duplicate, decision in decided):
                yield f"{said(submission)} was told {submission.outcome}, and its own batch granted it"


def no_refusal_after_a_claim(evidence: Evidence, _: Books) -> Iterator[str]:
    """Who asks after having been told a claim is never told a refusal."""
    for submission in evidence.history.submissions:
        claimed_from = evidence.claimed_from.get((submission.round_id, submission.identity))
        if submission.outcome in REFUSED and claimed_from is not None and claimed_from < submission.at.position:
            yield f"{said(submission)} was told {submission.outcome}, and had been told a claim before it asked"


def real_time_order(evidence: Evidence, books: Books) -> Iterator[str]:
    """A claim that was told before another person first asked has the smaller serial."""
    events: list[tuple[int, str, int, Submission | None]] = []
    asked: set[tuple[str, bytes]] = set()
    for submission in evidence.history.submissions:
        who = submission.round_id, submission.identity
        if who not in asked:
            asked.add(who)
            held = books[submission.round_id].claims.get(submission.identity) if submission.round_id in books else None
            if held:
                events.append((submission.at.position, submission.round_id, held[0], submission))
        at, decision = submission.told[0]
        if decision.serial:
            events.append((at.position, submission.round_id, decision.serial, None))
    newest: Counter[str] = Counter()
    for _, round_id, serial, first_ask in sorted(events, key=lambda event: event[0]):
        if first_ask is None:
            newest[round_id] = max(newest[round_id], serial)
        elif serial < newest[round_id]:
            yield f"{said(first_ask)} got serial {serial}, and {newest[round_id]} had been told before it asked"


def all_settled(evidence: Evidence, books: Books) -> Iterator[str]:
    """In the end whoever holds a claim has been told so.

    But for who was refused and then granted by a duplicate of the same call: nobody knows that there was one.
    """
    by_duplicate = {
        identity for (_, identity), decided in evidence.decisions.items() if any(d and x.serial for d, x in decided)
    }
    asked = {(submission.round_id, submission.identity) for submission in evidence.history.submissions}
    for round_id, book in books.items():
        for identity in book.claims:
            who = round_id, identity
            if who in asked and who not in evidence.claimed_from and identity not in by_duplicate:
                yield f"{person(identity)} holds a claim of {round_id} and was never told so"


def counted(evidence: Evidence, _: Books) -> Iterator[str]:
    """The gateways' metrics say of claims what happened."""
    told = Counter((submission.round_id, submission.outcome) for submission in evidence.history.submissions)
    if told != evidence.counted:
        yield f"the metrics have {dict(evidence.counted)}, and told was {dict(told)}"
