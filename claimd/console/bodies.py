"""What operators may send, checked by pydantic: types, ranges, and no field that the contract does not name."""

from typing import Annotated, Any, Self, TypeVar

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from claimd.contract.problems import Code
from claimd.domain.rounds import (
    MAX_ELIGIBILITY_CHARACTERS,
    MAX_ELIGIBILITY_CLAIMS,
    MAX_ELIGIBILITY_VALUES,
    MAX_PACK_BYTES,
    MAX_TITLE_CHARACTERS,
    MAX_TOTAL,
    is_round_id,
)
from claimd.domain.times import from_rfc3339
from claimd.http.problems import reject

MAX_REASON_CHARACTERS = 1000


def _time_ms(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("must be a string with an RFC 3339 time")
    return from_rfc3339(value)


def _small_pack(value: dict[str, Any]) -> dict[str, Any]:
    try:
        # As deep as it will stand in the answers that carry it: what can be taken must be sayable.
        orjson.dumps({"rounds": [{"pack": value}]})
    except orjson.JSONEncodeError:
        raise ValueError("is nested too deeply") from None
    if len(orjson.dumps(value)) > MAX_PACK_BYTES:
        raise ValueError(f"must have at most {MAX_PACK_BYTES} bytes as JSON")
    return value


def _allowed_value(value: Any) -> Any:
    if isinstance(value, str):
        if len(value) > MAX_ELIGIBILITY_CHARACTERS:
            raise ValueError(f"must have at most {MAX_ELIGIBILITY_CHARACTERS} characters")
    elif isinstance(value, int | float):
        # Beyond them the JSON that is kept cannot hold it, or holds another number.
        if not -(2**63) <= value < 2**63:
            raise ValueError("must be a number of at most 64 bits")
    else:
        raise ValueError("must be a string, a number or a boolean")
    return value


_Title = Annotated[str, Field(min_length=1, max_length=MAX_TITLE_CHARACTERS)]
_Total = Annotated[int, Field(ge=0, le=MAX_TOTAL)]
_TotalChange = Annotated[int, Field(ge=-MAX_TOTAL, le=MAX_TOTAL)]
_Time = Annotated[int, BeforeValidator(_time_ms)]
_Pack = Annotated[dict[str, Any], AfterValidator(_small_pack)]
_ClaimName = Annotated[str, Field(min_length=1, max_length=MAX_ELIGIBILITY_CHARACTERS)]
_AllowedValues = Annotated[
    list[Annotated[Any, AfterValidator(_allowed_value)]], Field(min_length=1, max_length=MAX_ELIGIBILITY_VALUES)
]
_Eligibility = Annotated[dict[_ClaimName, _AllowedValues], Field(max_length=MAX_ELIGIBILITY_CLAIMS)]
_Reason = Annotated[str, Field(min_length=1, max_length=MAX_REASON_CHARACTERS)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class NewRound(_Body):
    """`POST /admin/v1/rounds`."""

    id: str
    title: _Title
    total: _Total
    opens_at: _Time
    closes_at: _Time
    pack: _Pack = Field(default_factory=dict)
    eligibility: _Eligibility = Field(default_factory=dict)

    @field_validator("id")
    @classmethod
    def _form_of_an_id(cls, value: str) -> str:
        if not is_round_id(value):
            raise ValueError("must match [a-z0-9][a-z0-9-]{0,63}")
        return value

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.closes_at <= self.opens_at:
            raise ValueError("closes_at must be later than opens_at")
        return self


class RoundChanges(_Body):
    """`PATCH /admin/v1/rounds/{id}`: at least one field beside the reason, which an edit must always give.

    The defaults stand for "not given" and are never used; None would let a null in the JSON pass for that.
    """

    title: _Title = ""
    total: _Total = 0
    total_change: _TotalChange = 0
    opens_at: _Time = 0
    closes_at: _Time = 0
    pack: _Pack = Field(default_factory=dict)
    eligibility: _Eligibility = Field(default_factory=dict)
    reason: _Reason

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.model_fields_set == {"reason"}:
            raise ValueError("reason: there is nothing to change beside it")
        if {"total", "total_change"} <= self.model_fields_set:
            raise ValueError("total_change: cannot be given together with total")
        return self

    def changes(self) -> dict[str, Any]:
        """Only what was given, by the names of `Definition`."""
        given = {name: getattr(self, name) for name in self.model_fields_set - {"reason"}}
        return {f"{name}_ms" if name in ("opens_at", "closes_at") else name: value for name, value in given.items()}


class Reason(_Body):
    """`POST …/pause`, `/resume`, `/close`, `/passes/revoke`, `/archive`."""

    reason: _Reason


class Deletion(_Body):
    """`DELETE /admin/v1/rounds/{id}`, whose body may be left out."""

    reason: _Reason = "deleted"


_AnyBody = TypeVar("_AnyBody", bound=_Body)


def validated(model: type[_AnyBody], document: dict[str, Any]) -> _AnyBody:
    """The document as a body of that kind; else the request ends with 422 `invalid_round` naming the field."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        # A body as a whole has no place; its message begins with the field. (The place may be a name without letters.)
        if first["loc"]:
            field = ".".join(map(str, first["loc"]))
            message = f"{field}: {message}"
        else:
            field = message.partition(" ")[0].rstrip(":")
        raise reject(Code.INVALID_ROUND, message, field=field) from None
