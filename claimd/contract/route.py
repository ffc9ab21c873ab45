"""What the table of routes has to state about one route, for the reference and for the OpenAPI document."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

from claimd.contract.fields import Answer, Body
from claimd.contract.headers import NO_STORE, Header
from claimd.contract.limits import MAX_BODY_BYTES
from claimd.contract.problems import PROBLEM_TYPES, Code

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
PROMETHEUS: Final = "text/plain"
EVENT_STREAM: Final = "text/event-stream"
HTML: Final = "text/html"

# Of every operation: a request that is not well formed, and one for which no connection is left.
_CODES_OF_EVERY_OPERATION: Final = (Code.BAD_REQUEST, Code.OVERLOADED)
_CODES_OF_A_BODY: Final = (Code.TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE)
# A request that is for no operation.
CODES_WITHOUT_OPERATION: Final = (Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED)


class Credentials(Enum):
    """What a request must present, in words for the reference."""

    NONE = "none"
    BEARER = "`Authorization: Bearer <token of the identity provider>`"
    PASS_OR_BEARER = "`Authorization: Pass <pass>`, or `Bearer <token>`"  # noqa: S105 - not a password
    ADMIN = "`Authorization: Bearer <admin token>`"


@dataclass(frozen=True, slots=True)
class Tag:
    """A group of operations; a code generator makes a class of each."""

    name: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query string; `schema` is the JSON Schema of its value."""

    name: str
    meaning: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Success:
    """An answer that is no problem. `model` describes the body, or each of its lines or events; None: no JSON.

    `headers` come on top of those of every answer; `event` is the name of the events of a stream of events.
    """

    status: HTTPStatus
    meaning: str
    model: type[Answer] | None = None
    media_type: str = JSON
    example: Mapping[str, Any] | None = None
    headers: tuple[Header, ...] = ()
    cache_control: str = NO_STORE
    event: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path; `path` is that of the router.

    `operation` is its name in generated clients. `codes` are the problems of this route alone; `problems` has all that
    it can answer with. `head`: the documents name HEAD beside GET (every GET is answered as HEAD, too). `admission`: it
    is rejected while all connections are in use. `needs_server`: 503 `unavailable` while the server does not answer.
    """

    method: str
    path: str
    operation: str
    tag: Tag
    summary: str
    credentials: Credentials
    answers: tuple[Success, ...]
    codes: tuple[Code, ...] = ()
    query: tuple[Parameter, ...] = ()
    body: type[Body] | None = None
    body_example: Mapping[str, Any] | None = None
    max_body_bytes: int = MAX_BODY_BYTES
    if_match: bool = False
    head: bool = False
    admission: bool = True
    needs_server: bool = True
    notes: str = ""
    problems: tuple[tuple[HTTPStatus, Code], ...] = field(init=False)

    def __post_init__(self) -> None:
        order = list(Code)
        every = sorted(set(self._problems()), key=lambda problem: (problem[0], order.index(problem[1])))
        object.__setattr__(self, "problems", tuple(every))

    @property
    def if_none_match(self) -> bool:
        """Whether a cached answer can be revalidated: it is 304 then."""
        return any(success.status == HTTPStatus.NOT_MODIFIED for success in self.answers)

    @property
    def takes_fields(self) -> bool:
        """Whether the body may have fields; where it may not, it is absent or `{}`."""
        return self.body is not None and bool(self.body.model_fields)

    def _problems(self) -> Iterator[tuple[HTTPStatus, Code]]:
        """Status and code of each problem that an answer of this route can be."""
        for code in self._codes():
            yield PROBLEM_TYPES[code].status, code
        second = PROBLEM_TYPES[Code.BAD_REQUEST].unknown_field_status
        if self.body is not None and not self.takes_fields and second is not None:
            yield second, Code.BAD_REQUEST

    def _codes(self) -> Iterator[Code]:
        yield from self.codes
        yield from (code for code in _CODES_OF_EVERY_OPERATION if self.admission or code is not Code.OVERLOADED)
        if self.body is not None:
            yield from _CODES_OF_A_BODY
        if self.needs_server:
            yield Code.UNAVAILABLE


CODES_OF_ANY_REQUEST: Final = (
    Code.BAD_REQUEST,
    *CODES_WITHOUT_OPERATION,
    *_CODES_OF_A_BODY,
    Code.OVERLOADED,
    Code.UNAVAILABLE,
)
