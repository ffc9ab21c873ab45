"""The oracle must object to runs that are wrong: each sound run here is forged in one way, and one rule must notice."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from claimd.domain.log import EditEntry, GrantsEntry
from claimd.domain.outcomes import Decision, Outcome
from tests.simulation import batching, telling
from tests.simulation.book import Book, read_books
from tests.simulation.evidence import Evidence
from tests.simulation.history import Telling
from tests.simulation.oracle import violation
from tests.simulation.run import simulate

Rule = Callable[[Evidence, dict[str, Book]], Iterator[str]]

# One in which people of one round were granted claims at different times, and asked again.
SEED = 5


def told(evidence: Evidence, outcome: Outcome, decision: Decision) -> None:
    """The last who was told the one is told the other."""
    last = [submission for submission in evidence.history.submissions if submission.outcome is outcome][-1]
    last.told = [Telling(last.told[0].at, decision)]


def nobody_told(evidence: Evidence) -> None:
    """Somebody is not told."""
    evidence.history.submissions[3].told.clear()


def told_another_serial(evidence: Evidence) -> None:
    """A serial that is somebody else's."""
    told(evidence, Outcome.GRANTED, Decision(Outcome.GRANTED, 1, 1))


def refused_after_a_claim(evidence: Evidence) -> None:
    """Who was granted a claim is told, when asking again, that there is none."""
    told(evidence, Outcome.REPLAYED, Decision(Outcome.SOLD_OUT))


def told_late(evidence: Evidence) -> None:
    """An answer that took a minute longer than anybody has to wait."""
    submission = evidence.history.submissions[3]
    at, decision = submission.told[0]
    submission.told = [Telling(at._replace(seconds=at.seconds + 60.0), decision)]


def newest_first(evidence: Evidence) -> None:
    """Serials run against the order in which people came, in the books and in what they were told."""
    for submission in evidence.history.submissions:
        at, decision = submission.told[0]
        if decision.serial:
            submission.told = [Telling(at, decision._replace(serial=1_000_000 - decision.serial))]
    for round_id, log in evidence.logs.items():
        evidence.logs[round_id] = [
            replace(entry, first_serial=1_000_000 - entry.first_serial) if isinstance(entry, GrantsEntry) else entry
            for entry in log
        ]


def edited(evidence: Evidence, **fields: str) -> None:
    """The log begins with another definition than the one that was granted by."""
    for log in evidence.logs.values():
        created = log[0]
        assert isinstance(created, EditEntry)
        log[:] = [replace(created, fields={**created.fields, **fields}), *log[1:]]


def total_lowered(evidence: Evidence) -> None:
    """More was granted than there was."""
    edited(evidence, total="0")


def opened_later(evidence: Evidence) -> None:
    """It was granted before it opened."""
    edited(evidence, opens_at_ms="9999999999999")


def was_paused(evidence: Evidence) -> None:
    """It was granted while paused."""
    edited(evidence, paused="1")


def grants_dropped(evidence: Evidence) -> None:
    """The log has lost a batch of grants."""
    for log in evidence.logs.values():
        log[:] = [entry for entry in log if isinstance(entry, EditEntry) or entry.first_serial > 1]


FORGERIES: tuple[tuple[Callable[[Evidence], None], Rule], ...] = (
    (nobody_told, telling.once),
    (told_another_serial, telling.true_claims),
    (refused_after_a_claim, telling.no_refusal_after_a_claim),
    (newest_first, telling.real_time_order),
    (told_late, batching.waits),
    (total_lowered, read_books),
    (opened_later, read_books),
    (was_paused, read_books),
    (grants_dropped, read_books),
)


@pytest.mark.parametrize(("forge", "rule"), FORGERIES, ids=lambda part: part.__name__)
def test_a_forged_run_is_noticed(forge: Callable[[Evidence], None], rule: Rule) -> None:
    """The run is sound, and forged it breaks the rule, which is not the only one to notice perhaps."""
    evidence = simulate(SEED).evidence
    assert evidence is not None
    assert violation(evidence) is None
    forge(evidence)
    books: dict[str, Book] = {}
    broken = list(read_books(evidence, books))
    assert broken if rule is read_books else list(rule(evidence, books))
