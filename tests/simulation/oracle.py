"""The oracle: every rule that a run must keep, and what broke the first of them. It shares no code with the engine."""

from collections.abc import Callable, Iterator

from tests.simulation import batching, telling
from tests.simulation.book import Book, read_books
from tests.simulation.evidence import Evidence

# In this order, as the later ones take for granted what the earlier ones have found true.
_RULES: tuple[Callable[[Evidence, dict[str, Book]], Iterator[str]], ...] = (
    telling.no_errors,
    telling.once,
    read_books,
    batching.bounds,
    batching.in_order,
    telling.true_claims,
    telling.own_decisions,
    telling.no_refusal_of_a_grant,
    telling.no_refusal_after_a_claim,
    telling.real_time_order,
    telling.all_settled,
    telling.counted,
    batching.in_time,
    batching.waits,
    batching.pauses,
    batching.unknown_for_a_reason,
    batching.answers_are_told,
)


def violation(evidence: Evidence) -> str | None:
    """The first rule that was broken, with what broke it; None for a run that kept them all."""
    books: dict[str, Book] = {}
    for rule in _RULES:
        for broken in rule(evidence, books):
            return f"{rule.__name__}: {broken}"
    return None
