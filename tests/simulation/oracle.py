"""The oracle: all rules that a run must keep. It shares no code with the engine."""

from collections.abc import Callable, Iterator

from tests.simulation import answers, batching
from tests.simulation.evidence import Evidence
from tests.simulation.replayed_log import ReplayedRound, replay_logs

# In this order: later rules rely on what earlier ones have checked.
_RULES: tuple[Callable[[Evidence, dict[str, ReplayedRound]], Iterator[str]], ...] = (
    answers.no_errors,
    answers.once,
    replay_logs,
    batching.bounds,
    batching.in_order,
    answers.true_claims,
    answers.own_decisions,
    answers.no_refusal_of_a_grant,
    answers.no_refusal_after_a_claim,
    answers.barred_for_a_reason,
    answers.real_time_order,
    answers.all_settled,
    answers.counted,
    batching.in_time,
    batching.bounded_waits,
    batching.pauses,
    batching.unknown_for_a_reason,
    batching.answers_are_delivered,
)


def violation(evidence: Evidence) -> str | None:
    """The name of the first broken rule with a sentence on what broke it; None for a run that keeps all rules."""
    replayed: dict[str, ReplayedRound] = {}
    for rule in _RULES:
        for broken in rule(evidence, replayed):
            return f"{rule.__name__}: {broken}"
    return None
