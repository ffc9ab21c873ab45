"""Answers about rounds: as everyone reads them, as operators do, and what a round leaves behind."""

from typing import Annotated, Any, Literal

from pydantic import Field

from claimd.contract.fields import Answer, RoundId, ServerTime, Sha256, Time, Version
from claimd.domain.log import EditAction
from claimd.domain.rounds import Scalar, Status

_Next = Annotated[str | None, Field(description="`?after=` of the next page; null on the last one.")]


class Round(Answer):
    """A round as everyone may read it."""

    id: RoundId
    title: Annotated[str, Field(description="What people read.")]
    status: Annotated[Status, Field(description="Derived from the server's clock, the flags and the counters.")]
    total: Annotated[int, Field(description="How many packs there are in all; an operator may change it.")]
    issued: Annotated[int, Field(description="How many people hold a pack; less again where claims are voided.")]
    remaining: Annotated[int, Field(description="`total` - `issued`.")]
    opens_at: Annotated[Time, Field(description="Claims are decided from here on.")]
    closes_at: Annotated[Time, Field(description="The first moment at which no claim is granted any more.")]
    paused: Annotated[bool, Field(description="Whether an operator has paused it; also before it opens.")]
    pack: Annotated[dict[str, Any], Field(description="What a person gets: the operator's own JSON object.")]


class RoundAnswer(Round):
    """One round, with the server's time."""

    server_time: ServerTime


class RoundPage(Answer):
    """Some rounds, by opening time, then id."""

    rounds: Annotated[list[Round], Field(description="May be fewer than `limit` although there is a next page.")]
    next: _Next
    server_time: ServerTime


class OperatorRound(Round):
    """A round as operators read it."""

    version: Version
    eligibility: Annotated[dict[str, list[Scalar]], Field(description="Who may claim; empty for everyone.")]
    campaign: Annotated[None, Field(description="Always null.")]


class OperatorRoundAnswer(OperatorRound):
    """One round for operators, with the server's time."""

    server_time: ServerTime


class OperatorRoundPage(Answer):
    """Some rounds for operators, by opening time, then id."""

    rounds: list[OperatorRound]
    next: _Next
    server_time: ServerTime


class ArchivedRound(Answer):
    """What the server keeps of an archived round."""

    id: RoundId
    title: Annotated[str, Field(description="The round's title.")]
    total: Annotated[int, Field(description="The round's total.")]
    issued: Annotated[int, Field(description="How many claims the archive holds.")]
    version: Version
    file: Annotated[str, Field(description="Where the console wrote the archive.")]
    sha256: Sha256
    archived_at: Annotated[Time, Field(description="When the round left the server.")]
    who: Annotated[str, Field(description="The operator.")]
    reason: Annotated[str, Field(description="Why.")]


class ArchiveAnswer(ArchivedRound):
    """An archived round, and what became of the embedded server's file."""

    rewrite: Annotated[
        Literal["started", "postponed", "failed"] | None,
        Field(
            description="Whether the embedded server rewrites its file now, or later because a round is "
            "open or opens soon; null for an external server."
        ),
    ]


class LogLine(Answer):
    """One line of a round's log."""

    at: Annotated[Time, Field(description="When, by the server's clock.")]
    version: Version
    who: Annotated[str, Field(description="The operator.")]
    action: Annotated[
        EditAction | Literal["void"] | None, Field(description="Null in entries of the first version of claimd.")
    ]
    reason: Annotated[str, Field(description="Why.")]
    fields: Annotated[
        dict[str, Any],
        Field(description="The changed fields, with their new values; of a void `claim` (its id) and `barred`."),
    ]
