"""The request bodies of the console: types, ranges, and no field that is not named here."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from claimd.contract import details, field_sentences
from claimd.contract.fields import (
    ROUND_ID_PATTERN,
    Body,
    NewEligibility,
    NewPack,
    NewTime,
    NewTitle,
    NewTotal,
    ReasonText,
    TotalChange,
)
from claimd.contract.limits import MAX_SUBJECT_BYTES
from claimd.domain.rounds import is_round_id
from claimd.domain.sentences import WrongValue


def _fitting_subject(value: str) -> str:
    try:
        fits = len(value.encode()) <= MAX_SUBJECT_BYTES
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise WrongValue(field_sentences.NO_SUBJECT(most=MAX_SUBJECT_BYTES))
    return value


class NoFields(Body):
    """A request without fields: no body, or `{}`."""


class NewRound(Body):
    """The definition of a round to create."""

    id: Annotated[
        str,
        Field(
            description="Matches `[a-z0-9][a-z0-9-]{0,63}`; the id of an archived round is taken for good.",
            json_schema_extra={"pattern": ROUND_ID_PATTERN},
        ),
    ]
    title: NewTitle
    total: NewTotal
    opens_at: NewTime
    closes_at: NewTime
    pack: NewPack = Field(default_factory=dict)
    eligibility: NewEligibility = Field(default_factory=dict)

    @field_validator("id")
    @classmethod
    def _form_of_an_id(cls, value: str) -> str:
        if not is_round_id(value):
            raise WrongValue(field_sentences.NO_ID())
        return value

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.closes_at <= self.opens_at:
            raise WrongValue(details.ENDS_BEFORE_IT_BEGINS())
        return self


def _of_changes(schema: dict[str, Any]) -> None:
    """Correct the JSON Schema of `RoundChanges`: no defaults, a change beside the reason, one way to set the total."""
    for member in schema["properties"].values():
        member.pop("default", None)
    schema |= {"minProperties": 2, "not": {"required": ["total", "total_change"]}}


class RoundChanges(Body):
    """Changes to a round: at least one field beside the reason, which is always required.

    The defaults stand for "absent" and are never used; with None as the default, a null in the JSON would pass for it.
    """

    model_config = ConfigDict(json_schema_extra=_of_changes)

    title: NewTitle = ""
    total: NewTotal = 0
    total_change: TotalChange = 0
    opens_at: NewTime = 0
    closes_at: NewTime = 0
    pack: NewPack = Field(default_factory=dict)
    eligibility: NewEligibility = Field(default_factory=dict)
    reason: ReasonText

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.model_fields_set == {"reason"}:
            raise WrongValue(field_sentences.NOTHING_TO_CHANGE())
        if {"total", "total_change"} <= self.model_fields_set:
            raise WrongValue(field_sentences.TOTAL_TWICE())
        return self

    def changes(self) -> dict[str, Any]:
        """The fields that are present, without the reason, by the names of `domain.rounds.Definition`."""
        given = {name: getattr(self, name) for name in self.model_fields_set - {"reason"}}
        return {f"{name}_ms" if name in ("opens_at", "closes_at") else name: value for name, value in given.items()}


class Reason(Body):
    """The reason of a command, for the round's log."""

    reason: ReasonText


class ClaimSearch(Body):
    """The person whose claim is looked for."""

    sub: Annotated[
        str,
        AfterValidator(_fitting_subject),
        Field(
            min_length=1,
            description="What the person's token has in the claim that names them (`CLAIMD_JWT_IDENTITY`), exactly: "
            f"at most {MAX_SUBJECT_BYTES} bytes.",
        ),
    ]


class Voiding(Body):
    """Why a claim is voided, and whether its person may claim again."""

    reason: ReasonText
    bar: Annotated[bool, Field(description="Whether the person may claim no other pack in this round.")] = False


class Deletion(Body):
    """Why; the body may be absent."""

    reason: ReasonText = "deleted"
