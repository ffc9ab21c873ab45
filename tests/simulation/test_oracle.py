"""The oracle rejects wrong runs: each test forges a sound run in one way, and one rule must notice."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from claimd.domain.log import EditEntry, GrantsEntry
from claimd.domain.outcomes import Decision, Outcome
from tests.simulation import answers, batching
from tests.simulation.evidence import Evidence
from tests.simulation.history import Answer
from tests.simulation.oracle import violation
from tests.simulation.replayed_log import ReplayedRound, replay_logs
from tests.simulation.run import simulate

Rule = Callable[[Evidence, dict[str, ReplayedRound]], Iterator[str]]

# A run with grants at different times in one round, and with replays.
SEED = 5


def replace_last_answer(evidence: Evidence, outcome: Outcome, decision: Decision) -> None:
    """Replace the answer of the last submission with this outcome."""
    last = [submission for submission in evidence.history.submissions if submission.outcome is outcome][-1]
    last.answers = [Answer(last.answers[0].at, decision)]


def answer_removed(evidence: Evidence) -> None:
    """A submission has no answer."""
    evidence.history.submissions[3].answers.clear()


def answered_another_serial(evidence: Evidence) -> None:
    """An answer has the serial of another identity."""
    replace_last_answer(evidence, Outcome.GRANTED, Decision(Outcome.GRANTED, 1, 1))


def refused_after_a_claim(evidence: Evidence) -> None:
    """An identity with a claim is refused when it retries."""
    replace_last_answer(evidence, Outcome.REPLAYED, Decision(Outcome.SOLD_OUT))


def answered_late(evidence: Evidence) -> None:
    """An answer comes a minute late."""
    submission = evidence.history.submissions[3]
    at, decision = submission.answers[0]
    submission.answers = [Answer(at._replace(seconds=at.seconds + 60.0), decision)]


def newest_first(evidence: Evidence) -> None:
    """Serials are in reverse order of arrival, in the log and in the answers."""
    for submission in evidence.history.submissions:
        at, decision = submission.answers[0]
        if decision.serial:
            submission.answers = [Answer(at, decision._replace(serial=1_000_000 - decision.serial))]
    for round_id, log in evidence.logs.items():
        evidence.logs[round_id] = [
            replace(entry, first_serial=1_000_000 - entry.first_serial) if isinstance(entry, GrantsEntry) else entry
            for entry in log
        ]


def edited(evidence: Evidence, **fields: str) -> None:
    """Change the definition at the beginning of the log."""
    for log in evidence.logs.values():
        created = log[0]
        assert isinstance(created, EditEntry)
        log[:] = [replace(created, fields={**created.fields, **fields}), *log[1:]]


def total_lowered(evidence: Evidence) -> None:
    """More claims were granted than the total."""
    edited(evidence, total="0")


def opened_later(evidence: Evidence) -> None:
    """Claims were granted before the round opened."""
    edited(evidence, opens_at_ms="9999999999999")


def was_paused(evidence: Evidence) -> None:
    """Claims were granted while the round was paused."""
    edited(evidence, paused="1")


def grants_dropped(evidence: Evidence) -> None:
    """The log has lost a batch of grants."""
    for log in evidence.logs.values():
        log[:] = [entry for entry in log if not (isinstance(entry, GrantsEntry) and entry.first_serial == 1)]


FORGERIES: tuple[tuple[Callable[[Evidence], None], Rule], ...] = (
    (answer_removed, answers.once),
    (answered_another_serial, answers.true_claims),
    (refused_after_a_claim, answers.no_refusal_after_a_claim),
    (newest_first, answers.real_time_order),
    (answered_late, batching.bounded_waits),
    (total_lowered, replay_logs),
    (opened_later, replay_logs),
    (was_paused, replay_logs),
    (grants_dropped, replay_logs),
)


@pytest.mark.parametrize(("forge", "rule"), FORGERIES, ids=lambda part: part.__name__)
def test_a_forged_run_is_noticed(forge: Callable[[Evidence], None], rule: Rule) -> None:
    """The run is sound; once forged it breaks the rule, and perhaps others."""
    evidence = simulate(SEED).evidence
    assert evidence is not None
    assert violation(evidence) is None
    forge(evidence)
    replayed: dict[str, ReplayedRound] = {}
    broken = list(replay_logs(evidence, replayed))
    assert broken if rule is replay_logs else list(rule(evidence, replayed))
