"""The headers of answers that a client may rely on, each with the form of its value."""

from dataclasses import dataclass, field
from typing import Any, Final

from claimd.contract.problems import ProblemHeader
from claimd.domain.sentences import Language

# The value of `Cache-Control` in every answer whose row in the table of routes has no other.
NO_STORE: Final = "no-store"
# For what is the same for everybody and changes often.
SHORTLY: Final = "public, max-age=1"


@dataclass(frozen=True, slots=True)
class Header:
    """A header of an answer; `schema` is the JSON Schema of its value, `id` its name among all headers.

    An answer may lack it where it is not `required`.
    """

    id: str
    name: str
    meaning: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    example: str | int | None = None
    required: bool = True


DATE: Final = Header("Date", "Date", "When the answer was made, by the clock of this process.")
ETAG_OF_VERSION: Final = Header(
    "ETagOfVersion",
    "ETag",
    "The round's `version` in quotation marks, for `If-Match`.",
    {"type": "string", "pattern": '^"[1-9][0-9]*"$'},
    '"3"',
)
ETAG_OF_CONTENT: Final = Header(
    "ETag",
    "ETag",
    "Changes with the content, for `If-None-Match`.",
    {"type": "string", "pattern": '^(W/)?"[!#-~]+"$'},
    '"9f86d081884c7d65"',
)
ETAG_OF_ROUND: Final = Header(
    "ETagOfRound",
    "ETag",
    "Changes with all of the round but `server_time`, for `If-None-Match`.",
    {"type": "string", "pattern": '^W/"[0-9a-f]+"$'},
    'W/"65ddae70a353afda81"',
)
CONTENT_LANGUAGE: Final = Header(
    "ContentLanguage",
    "Content-Language",
    "The language of `title` and `detail`, chosen by `Accept-Language`.",
    {"type": "string", "enum": [language.value for language in Language]},
    Language.ENGLISH.value,
)
VARY_OF_PROBLEM: Final = Header(
    "VaryOfProblem",
    "Vary",
    "The headers of the request that the answer depends on; `Origin` where origins are configured.",
    {"type": "string", "pattern": "^(Origin, )?Accept-Language$"},
    "Accept-Language",
)
# What pages of other origins may read of an answer, beyond the headers that every page may read.
EXPOSED: Final = ("Date", "ETag", ProblemHeader.RETRY_AFTER.value, ProblemHeader.WWW_AUTHENTICATE.value)
# Of every answer of the public port where origins are configured; problems have a `Vary` of their own.
CROSS_ORIGIN: Final = (
    Header(
        "Vary", "Vary", "There where origins are configured.", {"type": "string", "const": "Origin"}, "Origin", False
    ),
    Header(
        "AllowOrigin",
        "Access-Control-Allow-Origin",
        "The request's `Origin`, if it is a configured one and the request is well-formed HTTP.",
        {"type": "string"},
        "https://app.example.com",
        False,
    ),
    Header(
        "ExposeHeaders",
        "Access-Control-Expose-Headers",
        "There with `Access-Control-Allow-Origin`: what a page may read.",
        {"type": "string", "const": ", ".join(EXPOSED)},
        ", ".join(EXPOSED),
        False,
    ),
)
UNBUFFERED: Final = Header(
    "XAccelBuffering",
    "X-Accel-Buffering",
    "For proxies: pass on each event at once.",
    {"type": "string", "const": "no"},
    "no",
)
CONTENT_SECURITY_POLICY: Final = Header(
    "ContentSecurityPolicy",
    "Content-Security-Policy",
    "The page runs no script and loads nothing: its style is in it, and allowed by its digest.",
)

PROBLEM_HEADERS: Final[dict[ProblemHeader, Header]] = {
    ProblemHeader.RETRY_AFTER: Header(
        "RetryAfter",
        ProblemHeader.RETRY_AFTER.value,
        "Seconds to wait before the same request is sent again.",
        {"type": "integer", "minimum": 1},
        2,
    ),
    ProblemHeader.WWW_AUTHENTICATE: Header(
        "WWWAuthenticate",
        ProblemHeader.WWW_AUTHENTICATE.value,
        "The schemes; `error_description` has the reason, for developers.",
        {"type": "string"},
        'Bearer error="invalid_token", error_description="The pass has expired.", Pass',
    ),
    ProblemHeader.ALLOW: Header(
        "Allow", ProblemHeader.ALLOW.value, "The methods of this address.", {"type": "string"}, "GET,HEAD"
    ),
}


def cache_control(value: str) -> Header:
    """The header `Cache-Control` with this one value."""
    name = "NoStore" if value == NO_STORE else f"CacheFor{value.rpartition('=')[2]}s"
    meaning = "No cache may keep the answer." if value == NO_STORE else "How long, in seconds, any cache may keep it."
    return Header(name, "Cache-Control", meaning, {"type": "string", "const": value}, value)
