"""Every route of both APIs: who may call it, what it takes, what it answers, and the codes of its own problems.

The reference is written from it. A test holds it against the routes of the two applications, and every answer that any
test gets against the models named here.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from claimd.contract.audit import AuditAnswer
from claimd.contract.claims import ClaimAnswer, ExportLine, MyClaimAnswer, PassAnswer, VoidAnswer
from claimd.contract.edits import ClaimSearch, Deletion, NewRound, NoFields, Reason, RoundChanges, Voiding
from claimd.contract.fields import ROUND_ID_PATTERN
from claimd.contract.headers import (
    CONTENT_SECURITY_POLICY,
    ETAG_OF_CONTENT,
    ETAG_OF_ROUND,
    ETAG_OF_VERSION,
    SHORTLY,
    UNBUFFERED,
)
from claimd.contract.health import Healthy, Ready
from claimd.contract.limits import MAX_CONSOLE_BODY_BYTES, MAX_ROUNDS_PER_PAGE
from claimd.contract.problems import Code
from claimd.contract.rounds import (
    ArchiveAnswer,
    LogLine,
    OperatorRound,
    OperatorRoundAnswer,
    OperatorRoundPage,
    Round,
    RoundAnswer,
    RoundPage,
)
from claimd.contract.route import EVENT_STREAM, HTML, NDJSON, PROMETHEUS, Credentials, Parameter, Route, Success, Tag
from claimd.domain.rounds import Status

ROUNDS: Final = Tag("Rounds", "What is on, and when it opens.")
CLAIMS: Final = Tag("Claims", "The way to a pack: get a pass before the round opens, then claim.")
RECORDS: Final = Tag("Records", "What proves that a round was right: claims, log, audit, archive.")
METRICS: Final = Tag("Metrics", "For Prometheus.")
HEALTH: Final = Tag("Health", "For load balancers and supervisors.")
DOCUMENTATION: Final = Tag("Documentation", "This description, for programs and for people.")

_ROUND: Final[Mapping[str, Any]] = {
    "id": "spring-5",
    "title": "Round 5",
    "status": "open",
    "total": 1_500_000,
    "issued": 731_204,
    "remaining": 768_796,
    "opens_at": "2026-04-20T12:00:00.000Z",
    "closes_at": "2026-04-20T14:00:00.000Z",
    "paused": False,
    "pack": {"vouchers": 4, "value": "50.00"},
}
_NOW: Final = {"server_time": "2026-04-20T12:00:51.317Z"}
_OPERATOR_ROUND: Final[Mapping[str, Any]] = {
    **_ROUND,
    "version": 3,
    "eligibility": {"city": ["macao"]},
    "campaign": None,
}
_CLAIM: Final[Mapping[str, Any]] = {
    "round": "spring-5",
    "id": "lkhliqtm7kagyvbl-731204",
    "serial": 731_204,
    "claimed_at": "2026-04-20T12:00:51.290Z",
}
_NEXT: Final = "1776686400000-spring-5"
_AUDIT: Final[Mapping[str, Any]] = {
    "ok": True,
    "total": 1_500_000,
    "issued": 1_500_000,
    "remaining": 0,
    "claims": 1_500_000,
    "identities": 1_500_000,
    "serials_contiguous": True,
    "oversold": 0,
    "duplicates": 0,
    "log_matches": True,
    "voided": 0,
}

_PAGE_PARAMETERS: Final = (
    Parameter(
        "status",
        "`scheduled`, `open`, `paused`, `sold_out`, `closed` or `all`. Without it: every round that is not closed.",
        {"type": "string", "enum": [*map(str, Status), "all"]},
    ),
    Parameter(
        "after",
        "The `next` of the page before. Without it: the first page.",
        {"type": "string", "pattern": rf"^[0-9]{{1,15}}-{ROUND_ID_PATTERN[1:]}", "examples": [_NEXT]},
    ),
    Parameter(
        "limit",
        f"At most so many rounds, 1 to {MAX_ROUNDS_PER_PAGE}. Default {MAX_ROUNDS_PER_PAGE}.",
        {"type": "integer", "minimum": 1, "maximum": MAX_ROUNDS_PER_PAGE, "default": MAX_ROUNDS_PER_PAGE},
    ),
)
HEALTH_ROUTES: Final = (
    Route(
        "GET",
        "/healthz",
        "isAlive",
        HEALTH,
        "Does the process live?",
        Credentials.NONE,
        (Success(HTTPStatus.OK, "It does.", Healthy, example={"status": "ok"}),),
        admission=False,
        needs_server=False,
        notes="Answered also while all connections are in use: a restart would help nothing.",
    ),
    Route(
        "GET",
        "/readyz",
        "isReady",
        HEALTH,
        "Can claims be decided?",
        Credentials.NONE,
        (Success(HTTPStatus.OK, "They can.", Ready, example={"status": "ready"}),),
        notes="503 `unavailable` while the server does not answer. For load balancers.",
    ),
)

# A browser asks again after five minutes; a new version of claimd then has another ETag.
_DOCUMENTATION_CACHE: Final = "public, max-age=300"
_UNCHANGED: Final = Success(
    HTTPStatus.NOT_MODIFIED, "It has not changed.", None, "", None, (ETAG_OF_CONTENT,), _DOCUMENTATION_CACHE
)


def _document(path: str, operation: str, summary: str) -> Route:
    return Route(
        "GET",
        path,
        operation,
        DOCUMENTATION,
        summary,
        Credentials.NONE,
        (
            Success(
                HTTPStatus.OK,
                "An OpenAPI 3.1 document.",
                headers=(ETAG_OF_CONTENT,),
                cache_control=_DOCUMENTATION_CACHE,
            ),
            _UNCHANGED,
        ),
        needs_server=False,
        notes="Made from the same tables as the answers. Generate clients from it.",
    )


PAGE_ROUTE: Final = Route(
    "GET",
    "/docs",
    "readDocumentation",
    DOCUMENTATION,
    "Read this API as a page",
    Credentials.NONE,
    (
        Success(
            HTTPStatus.OK,
            "A page of the OpenAPI document of this port.",
            None,
            HTML,
            None,
            (ETAG_OF_CONTENT, CONTENT_SECURITY_POLICY),
            _DOCUMENTATION_CACHE,
        ),
        _UNCHANGED,
    ),
    needs_server=False,
    notes="One file, without scripts; nothing is loaded from elsewhere.",
)
PUBLIC_DOCUMENT_ROUTE: Final = _document("/v1/openapi.json", "readOpenApi", "Get the public API as OpenAPI")
CONSOLE_DOCUMENT_ROUTE: Final = _document("/admin/v1/openapi.json", "readOpenApi", "Get the console API as OpenAPI")

DOCUMENTATION_ROUTES: Final = (PAGE_ROUTE, PUBLIC_DOCUMENT_ROUTE, CONSOLE_DOCUMENT_ROUTE)

PUBLIC_ROUTES: Final = (
    Route(
        "GET",
        "/v1/rounds",
        "listRounds",
        ROUNDS,
        "List rounds",
        Credentials.NONE,
        (
            Success(
                HTTPStatus.OK,
                "One page, by opening time.",
                RoundPage,
                example={"rounds": [_ROUND], "next": _NEXT, **_NOW},
            ),
        ),
        query=_PAGE_PARAMETERS,
        notes="A page may be up to 50 ms old; `server_time` is that of the answer.",
    ),
    Route(
        "GET",
        "/v1/rounds/{round_id}",
        "readRound",
        ROUNDS,
        "Read a round",
        Credentials.NONE,
        (
            Success(
                HTTPStatus.OK,
                "The round.",
                RoundAnswer,
                example={**_ROUND, **_NOW},
                headers=(ETAG_OF_ROUND,),
                cache_control=SHORTLY,
            ),
            Success(
                HTTPStatus.NOT_MODIFIED,
                "Nothing but `server_time` has changed since the answer that `If-None-Match` names.",
                media_type="",
                headers=(ETAG_OF_ROUND,),
                cache_control=SHORTLY,
            ),
        ),
        (Code.ROUND_NOT_FOUND, Code.ARCHIVED),
        head=True,
        notes="The difference between `server_time` and the client's clock is what a countdown needs. The round is at "
        "most 50 ms old, and a cache may keep the answer for a second.",
    ),
    Route(
        "GET",
        "/v1/rounds/{round_id}/events",
        "listenToRound",
        ROUNDS,
        "Listen to a round",
        Credentials.NONE,
        (
            Success(
                HTTPStatus.OK,
                "A stream of server-sent events.",
                Round,
                EVENT_STREAM,
                example=_ROUND,
                headers=(UNBUFFERED,),
                event="round",
            ),
        ),
        (Code.ROUND_NOT_FOUND, Code.ARCHIVED),
        head=True,
        notes="The first event comes at once, the next ones when the round has changed, at most 4 a second, and a "
        "comment every 15 s. A client that reads slowly gets the newest state and none in between. Each event is the "
        "whole round, so nothing is lost by reconnecting; `Last-Event-ID` is ignored. The `id` of an event is the "
        "`ETag` that `GET /v1/rounds/{id}` has for the same state. The stream ends when the round is deleted or "
        "archived, and when a gateway stops: `EventSource` reconnects by itself, and gives up at 404, 410 or 503.",
    ),
    Route(
        "POST",
        "/v1/rounds/{round_id}/passes",
        "issuePass",
        CLAIMS,
        "Get a pass",
        Credentials.BEARER,
        (
            Success(
                HTTPStatus.CREATED,
                "The pass.",
                PassAnswer,
                example={
                    "pass": "AgABnbUjmAAAAABkGOuYQmJWzUYCVlFzjBHs7tvGm8yFDhxrKqPZtwy4hUNQ3nC0KxE2",
                    "expires_at": "2027-04-21T14:00:00.000Z",
                },
            ),
        ),
        (
            Code.UNAUTHENTICATED,
            Code.NOT_ELIGIBLE,
            Code.ROUND_NOT_FOUND,
            Code.ARCHIVED,
            Code.RATE_LIMITED,
        ),
        body=NoFields,
        body_example={},
        notes="The expensive check, before the drop: a pass may be fetched as soon as the round exists.",
    ),
    Route(
        "POST",
        "/v1/rounds/{round_id}/claims",
        "claim",
        CLAIMS,
        "Claim",
        Credentials.PASS_OR_BEARER,
        (
            Success(
                HTTPStatus.CREATED,
                "Granted by this request.",
                ClaimAnswer,
                example={"claim": _CLAIM, "replayed": False},
            ),
            Success(
                HTTPStatus.OK,
                "Granted before; the same claim, also when the round is sold out, paused or closed by now.",
                ClaimAnswer,
                example={"claim": _CLAIM, "replayed": True},
            ),
        ),
        (
            Code.UNAUTHENTICATED,
            Code.PASS_OUTDATED,
            Code.NOT_ELIGIBLE,
            Code.BARRED,
            Code.ROUND_NOT_FOUND,
            Code.NOT_OPEN,
            Code.PAUSED,
            Code.SOLD_OUT,
            Code.CLOSED,
            Code.ARCHIVED,
            Code.RATE_LIMITED,
        ),
        body=NoFields,
        body_example={},
        notes="Idempotent: the person is the idempotency key. After a lost answer, a timeout or a 503, send it again. "
        "Send no body, `Content-Length: 0` and the pass: that is the fastest form.",
    ),
    Route(
        "GET",
        "/v1/rounds/{round_id}/claims/me",
        "readMyClaim",
        CLAIMS,
        "Look up a claim",
        Credentials.PASS_OR_BEARER,
        (Success(HTTPStatus.OK, "The claim that the person holds.", MyClaimAnswer, example={"claim": _CLAIM}),),
        (
            Code.UNAUTHENTICATED,
            Code.ROUND_NOT_FOUND,
            Code.NOT_CLAIMED,
            Code.ARCHIVED,
            Code.RATE_LIMITED,
        ),
        notes="Answers with a pass that is outdated, too. It changes nothing: to find out whether a lost claim was "
        "granted, and to get one if not, claim again instead.",
    ),
    PUBLIC_DOCUMENT_ROUTE,
    PAGE_ROUTE,
    *HEALTH_ROUTES,
)

_ONE: Final = "/admin/v1/rounds/{round_id}"
_VERSIONED: Final = (ETAG_OF_VERSION,)
_GONE_CODES: Final = (Code.UNAUTHENTICATED, Code.ROUND_NOT_FOUND, Code.ARCHIVED)
_EDIT_CODES: Final = (*_GONE_CODES, Code.VERSION_MISMATCH, Code.INVALID_ROUND)
_EDITED: Final = Success(
    HTTPStatus.OK, "The round as it is now.", OperatorRound, example=_OPERATOR_ROUND, headers=_VERSIONED
)


def _command(verb: str, operation: str, summary: str, notes: str) -> Route:
    return Route(
        "POST",
        f"{_ONE}/{verb}",
        operation,
        ROUNDS,
        summary,
        Credentials.ADMIN,
        (Success(HTTPStatus.OK, "The round as it is now, as after an edit.", OperatorRound, headers=_VERSIONED),),
        _EDIT_CODES,
        body=Reason,
        body_example={"reason": "the identity provider is down"},
        max_body_bytes=MAX_CONSOLE_BODY_BYTES,
        if_match=True,
        notes=notes,
    )


CONSOLE_ROUTES: Final = (
    Route(
        "POST",
        "/admin/v1/rounds",
        "createRound",
        ROUNDS,
        "Create a round",
        Credentials.ADMIN,
        (Success(HTTPStatus.CREATED, "The round.", OperatorRound, example=_OPERATOR_ROUND, headers=_VERSIONED),),
        (Code.UNAUTHENTICATED, Code.ROUND_EXISTS, Code.INVALID_ROUND),
        body=NewRound,
        body_example={
            "id": "spring-5",
            "title": "Round 5",
            "total": 1_500_000,
            "opens_at": "2026-04-20T20:00:00+08:00",
            "closes_at": "2026-04-20T22:00:00+08:00",
            "pack": {"vouchers": 4, "value": "50.00"},
            "eligibility": {"city": ["macao"]},
        },
        max_body_bytes=MAX_CONSOLE_BODY_BYTES,
        notes="After a lost answer, send it again: 409 `round_exists` then means that there is one; read it.",
    ),
    Route(
        "GET",
        "/admin/v1/rounds",
        "listRounds",
        ROUNDS,
        "List rounds as an operator",
        Credentials.ADMIN,
        (
            Success(
                HTTPStatus.OK,
                "One page, by opening time.",
                OperatorRoundPage,
                example={"rounds": [_OPERATOR_ROUND], "next": None, **_NOW},
            ),
        ),
        (Code.UNAUTHENTICATED,),
        query=_PAGE_PARAMETERS,
    ),
    Route(
        "GET",
        _ONE,
        "readRound",
        ROUNDS,
        "Read a round as an operator",
        Credentials.ADMIN,
        (
            Success(
                HTTPStatus.OK,
                "The round.",
                OperatorRoundAnswer,
                example={**_OPERATOR_ROUND, **_NOW},
                headers=_VERSIONED,
            ),
        ),
        _GONE_CODES,
    ),
    Route(
        "PATCH",
        _ONE,
        "editRound",
        ROUNDS,
        "Edit a round",
        Credentials.ADMIN,
        (_EDITED,),
        (
            Code.UNAUTHENTICATED,
            Code.ROUND_NOT_FOUND,
            Code.TOTAL_BELOW_ISSUED,
            Code.ARCHIVED,
            Code.VERSION_MISMATCH,
            Code.INVALID_ROUND,
        ),
        body=RoundChanges,
        body_example={"total_change": 50_000, "reason": "more vouchers arrived"},
        max_body_bytes=MAX_CONSOLE_BODY_BYTES,
        if_match=True,
        notes="All of it or nothing, and it counts for the very next claim on every gateway. An edit that changes "
        "`eligibility` outdates every pass of the round.",
    ),
    Route(
        "DELETE",
        _ONE,
        "deleteRound",
        ROUNDS,
        "Delete a round without claims",
        Credentials.ADMIN,
        (Success(HTTPStatus.NO_CONTENT, "It is deleted.", None, ""),),
        (
            Code.UNAUTHENTICATED,
            Code.ROUND_NOT_FOUND,
            Code.HAS_CLAIMS,
            Code.ARCHIVED,
            Code.VERSION_MISMATCH,
            Code.INVALID_ROUND,
        ),
        body=Deletion,
        body_example={"reason": "created by mistake"},
        max_body_bytes=MAX_CONSOLE_BODY_BYTES,
        if_match=True,
    ),
    _command(
        "pause", "pauseRound", "Pause a round", "Claims are rejected with `paused`; claims that are held are replayed."
    ),
    _command("resume", "resumeRound", "Resume a round", "The end of a pause."),
    _command("close", "closeRound", "Close a round", "For good: no request opens it again."),
    _command(
        "passes/revoke", "revokePasses", "Revoke all passes of a round", "Every pass so far becomes `pass_outdated`."
    ),
    Route(
        "POST",
        f"{_ONE}/archive",
        "archiveRound",
        RECORDS,
        "Archive a closed round",
        Credentials.ADMIN,
        (
            Success(
                HTTPStatus.OK,
                "It is in the file, and has left the server; the same answer where it was archived before.",
                ArchiveAnswer,
                example={
                    "id": "spring-5",
                    "title": "Round 5",
                    "total": 1_500_000,
                    "issued": 1_500_000,
                    "version": 4,
                    "file": "/var/lib/claimd/archive/spring-5.9f86d081884c7d65.ndjson.gz",
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "archived_at": "2026-05-01T08:30:00.000Z",
                    "who": "admin",
                    "reason": "over",
                    "rewrite": "started",
                },
            ),
        ),
        (
            Code.UNAUTHENTICATED,
            Code.ROUND_NOT_FOUND,
            Code.NOT_CLOSED,
            Code.ARCHIVING,
            Code.AUDIT_FAILED,
            Code.VERSION_MISMATCH,
            Code.INVALID_ROUND,
            Code.ARCHIVE_FAILED,
        ),
        body=Reason,
        body_example={"reason": "over"},
        if_match=True,
        notes="Takes seconds for a million claims. Nothing is removed before the file is on disk and audited. "
        "A retry is safe.",
    ),
    Route(
        "GET",
        f"{_ONE}/log",
        "readLog",
        RECORDS,
        "Read the log of a round",
        Credentials.ADMIN,
        (
            Success(
                HTTPStatus.OK,
                "One line for each creation and edit, in order.",
                LogLine,
                NDJSON,
                {
                    "at": "2026-04-19T09:12:44.018Z",
                    "version": 2,
                    "who": "admin",
                    "action": "edit",
                    "reason": "more vouchers arrived",
                    "fields": {"total": 1_500_000},
                },
            ),
        ),
        _GONE_CODES,
    ),
    Route(
        "GET",
        f"{_ONE}/audit",
        "auditRound",
        RECORDS,
        "Audit a round",
        Credentials.ADMIN,
        (Success(HTTPStatus.OK, "The audit; it may be not `ok`.", AuditAnswer, example=_AUDIT),),
        _GONE_CODES,
        notes="Reads every claim: seconds for a million. May run in the middle of a drop.",
    ),
    Route(
        "GET",
        f"{_ONE}/claims",
        "exportClaims",
        RECORDS,
        "Export all claims",
        Credentials.ADMIN,
        (
            Success(
                HTTPStatus.OK,
                "One line for each claim that was granted, by serial.",
                ExportLine,
                NDJSON,
                {
                    "serial": 731_204,
                    "id": _CLAIM["id"],
                    "identity": "a58a5fa2a3f0d7b6f3f6b1f7fd0c4e7a",
                    "claimed_at": _CLAIM["claimed_at"],
                },
            ),
        ),
        _GONE_CODES,
        notes="Streamed; cut off, without the end of the chunks, where the server is lost half-way.",
    ),
    Route(
        "POST",
        f"{_ONE}/claims/find",
        "findClaim",
        CLAIMS,
        "Find a person's claim",
        Credentials.ADMIN,
        (Success(HTTPStatus.OK, "The claim that the person holds.", MyClaimAnswer, example={"claim": _CLAIM}),),
        (*_GONE_CODES, Code.NOT_CLAIMED, Code.INVALID_ROUND),
        body=ClaimSearch,
        body_example={"sub": "8c1f0d3e-person"},
        max_body_bytes=MAX_CONSOLE_BODY_BYTES,
        notes="The server knows persons by a keyed digest alone: the console needs the gateways' `CLAIMD_SECRET`, and "
        "is 503 `unavailable` without. `claimd up` gives it to its console.",
    ),
    Route(
        "POST",
        f"{_ONE}/claims/{{claim}}/void",
        "voidClaim",
        CLAIMS,
        "Void a claim",
        Credentials.ADMIN,
        (
            Success(
                HTTPStatus.OK,
                "The claim is void; the same answer where it was voided before.",
                VoidAnswer,
                example={"claim": _CLAIM, "voided_at": "2026-04-21T08:12:30.004Z", "barred": True},
            ),
        ),
        (*_GONE_CODES, Code.NOT_CLAIMED, Code.INVALID_ROUND),
        body=Voiding,
        body_example={"reason": "a forged account", "bar": True},
        max_body_bytes=MAX_CONSOLE_BODY_BYTES,
        notes="The pack is in stock again once, however often this is asked, and claimable at once, also after a "
        "sell-out. The serial is not given again. The person may claim again, or is refused with `barred`.",
    ),
    Route(
        "GET",
        "/metrics",
        "scrapeMetrics",
        METRICS,
        "Scrape metrics",
        Credentials.NONE,
        (Success(HTTPStatus.OK, "Prometheus text.", None, PROMETHEUS),),
        (Code.ROUND_NOT_FOUND,),
        query=(Parameter("round", "That round alone.", {"type": "string", "pattern": ROUND_ID_PATTERN}),),
        notes="Names no person. Without `round` it is 200 also while the server is away.",
    ),
    CONSOLE_DOCUMENT_ROUTE,
    PAGE_ROUTE,
    *HEALTH_ROUTES,
)

# On both ports.
SHARED_ROUTES: Final = (PAGE_ROUTE, *HEALTH_ROUTES)
ALL_ROUTES: Final = (*PUBLIC_ROUTES, *(route for route in CONSOLE_ROUTES if route not in SHARED_ROUTES))
