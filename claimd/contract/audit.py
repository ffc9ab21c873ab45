"""The answer of an audit."""

from typing import Annotated

from pydantic import Field

from claimd.contract.fields import Answer


class AuditAnswer(Answer):
    """An audit, counted from the claims themselves, not from the counters."""

    ok: Annotated[bool, Field(description="Whether every promise was kept.")]
    total: Annotated[int, Field(description="The round's total.")]
    issued: Annotated[int, Field(description="Grants less voids, by the round's counters; `claims` must be the same.")]
    remaining: Annotated[int, Field(description="`total` - `issued`.")]
    claims: Annotated[int, Field(description="Claims that are held.")]
    identities: Annotated[int, Field(description="Persons who hold one.")]
    serials_contiguous: Annotated[
        bool, Field(description="Whether the serials are 1, 2, 3 … without gaps, voided ones included.")
    ]
    oversold: Annotated[int, Field(description="How many claims exceed the total.")]
    duplicates: Annotated[int, Field(description="How many serials or persons occur twice.")]
    log_matches: Annotated[bool, Field(description="Whether the log holds the same claims and voids.")]
    voided: Annotated[int, Field(description="Claims that operators have voided.")]
