"""The document of an error, with the members that only some codes have."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from claimd.contract.audit import AuditAnswer
from claimd.contract.fields import Answer, RoundId, Sha256, Time, Version
from claimd.contract.problems import PROBLEM_TYPES, TYPE_PREFIX, Code
from claimd.domain.sentences import Language

STANDARD_MEMBERS = frozenset(("type", "title", "status", "detail", "code"))
_EXAMPLES: Final[Mapping[str, Any]] = {
    "field": "total",
    "opens_at": "2026-04-20T12:00:00.000Z",
    "closes_at": "2026-04-20T14:00:00.000Z",
    "version": 4,
    "issued": 731_204,
    "audit": {
        "ok": False,
        "total": 1_500_000,
        "issued": 1_500_000,
        "remaining": 0,
        "claims": 1_499_999,
        "identities": 1_499_999,
        "serials_contiguous": False,
        "oversold": 0,
        "duplicates": 0,
        "log_matches": False,
        "voided": 0,
    },
    "id": "spring-5",
    "total": 1_500_000,
    "file": "/var/lib/claimd/archive/spring-5.9f86d081884c7d65.ndjson.gz",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "archived_at": "2026-05-01T08:30:00.000Z",
    "who": "admin",
    "reason": "over",
}


class ProblemDocument(Answer):
    """An error: `application/problem+json` (RFC 9457)."""

    type: Annotated[str, Field(description=f"`{TYPE_PREFIX}` and the code.")]
    title: Annotated[
        str,
        Field(
            description="One sentence for people, by `Accept-Language` in English or Chinese; the same for each code."
        ),
    ]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[
        str | None, Field(description="What is wrong here, for developers, in the same language; may be absent.")
    ] = None
    code: Annotated[Code, Field(description="Stable: branch on this alone.")]
    field: Annotated[str | None, Field(description="The field or parameter that is wrong.")] = None
    opens_at: Annotated[Time | None, Field(description="When the round opens.")] = None
    closes_at: Annotated[Time | None, Field(description="When the round closes.")] = None
    version: Annotated[Version | None, Field(description="The round's version now.")] = None
    issued: Annotated[int | None, Field(description="How many packs were claimed.")] = None
    audit: Annotated[AuditAnswer | None, Field(description="The audit of what was written to the archive.")] = None
    id: Annotated[RoundId | None, Field(description="The archived round's id.")] = None
    total: Annotated[int | None, Field(description="The archived round's total.")] = None
    file: Annotated[
        str | None,
        Field(
            description="Where the archive is.",
            examples=["/var/lib/claimd/archive/spring-5.9f86d081884c7d65.ndjson.gz"],
        ),
    ] = None
    sha256: Annotated[
        Sha256 | None,
        Field(description="Its digest."),
    ] = None
    archived_at: Annotated[Time | None, Field(description="When the round left the server.")] = None
    who: Annotated[str | None, Field(description="The operator who archived it.")] = None
    reason: Annotated[str | None, Field(description="Why.")] = None

    @model_validator(mode="after")
    def _fits_the_table(self) -> Self:
        kind = PROBLEM_TYPES[self.code]
        if self.type != f"{TYPE_PREFIX}{self.code}" or self.title not in map(kind.title_in, Language):
            raise ValueError(f"not the type and title of {self.code}")
        if self.status not in (kind.status, kind.unknown_field_status):
            raise ValueError(f"{self.status} is not the status of {self.code}")
        stray = self.model_fields_set - STANDARD_MEMBERS - set(kind.members)
        if stray:
            raise ValueError(f"{self.code} has no member {', '.join(sorted(stray))}")
        return self


def problem_example(code: Code) -> dict[str, Any]:
    """The document of a problem of this code, with all members that belong to it."""
    kind = PROBLEM_TYPES[code]
    members = {name: _EXAMPLES[name] for name in kind.members}
    standard = {"type": f"{TYPE_PREFIX}{code}", "title": kind.title, "status": int(kind.status), "code": code.value}
    return {**standard, **members}
