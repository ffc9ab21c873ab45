"""Answers about claims and passes, and the lines of an export."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from claimd.contract.fields import Answer, ClaimedAt, ClaimId, RoundId, Serial, Time


class Claim(Answer):
    """What one person holds in one round."""

    round: RoundId
    id: ClaimId
    serial: Serial
    claimed_at: ClaimedAt


class ClaimAnswer(Answer):
    """A claim that was granted, now or before."""

    claim: Claim
    replayed: Annotated[
        bool, Field(description="False for the request that was granted the claim, true for each one after it.")
    ]


class MyClaimAnswer(Answer):
    """The claim that a person holds."""

    claim: Claim


class VoidAnswer(Answer):
    """A claim that was voided, now or before."""

    claim: Claim
    voided_at: Annotated[Time, Field(description="When the first request voided it, by the server's clock.")]
    barred: Annotated[bool, Field(description="Whether that request barred the person from the round.")]


class PassAnswer(Answer):
    """A pass that was issued, and when it expires."""

    pass_: Annotated[
        str, Field(alias="pass", pattern=r"^[A-Za-z0-9_-]{68}$", description="For `Authorization: Pass …`; opaque.")
    ]
    expires_at: Annotated[Time, Field(description="When it expires.")]


def _without_default(schema: dict[str, Any]) -> None:
    """Correct the JSON Schema of `ExportLine`: an absent member has no value."""
    schema["properties"]["voided_at"].pop("default")


class ExportLine(Answer):
    """One claim of an export."""

    model_config = ConfigDict(json_schema_extra=_without_default)

    serial: Serial
    id: ClaimId
    identity: Annotated[
        str, Field(pattern=r"^[0-9a-f]{32}$", description="The keyed digest of the person's identifier, in hex.")
    ]
    claimed_at: ClaimedAt
    voided_at: Annotated[Time, Field(description="When an operator voided it; absent where the claim is held.")] = ""
