"""The types of fields that several models share, with their ranges and descriptions, and the two kinds of models."""

from typing import Annotated, Any, Final

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from claimd.contract import field_sentences
from claimd.contract.limits import MAX_REASON_CHARACTERS
from claimd.domain.rounds import (
    MAX_ELIGIBILITY_CHARACTERS,
    MAX_ELIGIBILITY_CLAIMS,
    MAX_ELIGIBILITY_VALUES,
    MAX_PACK_BYTES,
    MAX_TITLE_CHARACTERS,
    MAX_TOTAL,
)
from claimd.domain.sentences import WrongValue
from claimd.domain.times import from_rfc3339


class Body(BaseModel):
    """The body of a request. Fields that it does not name are rejected, so that no typing error passes silently."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


class Answer(BaseModel):
    """The body of an answer, or a part of one. The tests hold every answer against its model."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


def _time_ms(value: Any) -> int:
    if not isinstance(value, str):
        raise WrongValue(field_sentences.NO_STRING_TIME())
    return from_rfc3339(value)


def _whole(value: Any) -> Any:
    """An integer that was written with a fraction of zero, as JSON Schema counts 5.0 among the integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _small_pack(value: dict[str, Any]) -> dict[str, Any]:
    try:
        # As deep as it stands in a list of rounds: orjson has a limit of nesting, and every answer must be encodable.
        orjson.dumps({"rounds": [{"pack": value}]})
    except orjson.JSONEncodeError:
        raise WrongValue(field_sentences.NESTED_TOO_DEEPLY()) from None
    if len(orjson.dumps(value)) > MAX_PACK_BYTES:
        raise WrongValue(field_sentences.TOO_MANY_BYTES(most=MAX_PACK_BYTES))
    return value


def _allowed_value(value: Any) -> Any:
    if isinstance(value, str):
        if len(value) > MAX_ELIGIBILITY_CHARACTERS:
            raise WrongValue(field_sentences.TOO_MANY_CHARACTERS(most=MAX_ELIGIBILITY_CHARACTERS))
    elif isinstance(value, int | float):
        # Beyond 64 bits the stored JSON cannot hold the number, or holds another one.
        if not -(2**63) <= value < 2**63:
            raise WrongValue(field_sentences.NUMBER_TOO_LARGE())
    else:
        raise WrongValue(field_sentences.NO_PLAIN_VALUE())
    return value


ROUND_ID_PATTERN: Final = "^[a-z0-9][a-z0-9-]{0,63}$"
# The calendar's part is said by the format; years before 1970 and fractions finer than a millisecond are rejected.
_NEW_TIME: Final = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^(19[7-9]|[2-9][0-9]{2})[0-9]-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,3}0*)?([Zz]|[+-][0-9]{2}:[0-5][0-9])$",
    "examples": ["2026-04-20T20:00:00+08:00"],
}
_ALLOWED_VALUE: Final = {
    "anyOf": [
        {"type": "string", "maxLength": MAX_ELIGIBILITY_CHARACTERS},
        {"type": "number", "minimum": -(2**63), "exclusiveMaximum": 2**63},
        {"type": "boolean"},
    ]
}

# In requests.
NewTitle = Annotated[
    str, Field(min_length=1, max_length=MAX_TITLE_CHARACTERS, description="What people read, on one line.")
]
# The bounds come first: a validator before them would hide them from the JSON Schema.
NewTotal = Annotated[
    int, Field(ge=0, le=MAX_TOTAL, description="How many packs there are in all."), BeforeValidator(_whole)
]
TotalChange = Annotated[
    int,
    Field(ge=-MAX_TOTAL, le=MAX_TOTAL, description="Added to the total, whatever it is by then. Not with `total`."),
    BeforeValidator(_whole),
]
NewTime = Annotated[
    int,
    BeforeValidator(_time_ms),
    WithJsonSchema(_NEW_TIME),
    Field(description="RFC 3339 time with an offset and at most milliseconds, as a string."),
]
NewPack = Annotated[
    dict[str, Any],
    AfterValidator(_small_pack),
    Field(description=f"Any JSON object of at most {MAX_PACK_BYTES:,} bytes; claimd hands it on unread."),
]
_TokenClaimName = Annotated[str, Field(min_length=1, max_length=MAX_ELIGIBILITY_CHARACTERS)]
_AllowedValues = Annotated[
    list[Annotated[Any, AfterValidator(_allowed_value), WithJsonSchema(_ALLOWED_VALUE)]],
    Field(min_length=1, max_length=MAX_ELIGIBILITY_VALUES),
]
NewEligibility = Annotated[
    dict[_TokenClaimName, _AllowedValues],
    Field(
        max_length=MAX_ELIGIBILITY_CLAIMS,
        description='`{"<token claim>": ["allowed", …]}`; empty lets everyone in. See [Eligibility](#eligibility).',
    ),
]
ReasonText = Annotated[
    str,
    Field(min_length=1, max_length=MAX_REASON_CHARACTERS, description="Why, for the round's log."),
]

# In answers.
RoundId = Annotated[str, Field(pattern=ROUND_ID_PATTERN, description="The round's id.")]
Time = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
        description="A time.",
        json_schema_extra={"format": "date-time"},
    ),
]
ServerTime = Annotated[Time, Field(description="The clock that decides when a round opens and closes.")]
Serial = Annotated[
    int, Field(ge=1, description="1, 2, 3 … within the round, without gaps, in the order in which claims were granted.")
]
ClaimId = Annotated[str, Field(pattern=r"^[a-z0-9-]{18,64}$", description="Unique over all rounds; never changes.")]
ClaimedAt = Annotated[Time, Field(description="When the claim was granted, by the server's clock.")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="The digest of the archive file, in hex.")]
Version = Annotated[int, Field(ge=1, description="Grows by one with every edit.")]
