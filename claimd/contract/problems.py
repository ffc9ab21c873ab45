"""The error codes of both APIs, and what each implies: one table, from which every answer takes its status and title.

Nothing else in claimd names a status beside a code: handlers, middleware, the lane and admission control name a code
alone. `docs/api.md` prints this table. A code never changes its meaning, because clients branch on codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from claimd.domain.outcomes import EditOutcome, Outcome
from claimd.domain.sentences import Language


class Code(StrEnum):
    """The member `code` of every problem."""

    BAD_REQUEST = "bad_request"
    UNAUTHENTICATED = "unauthenticated"
    PASS_OUTDATED = "pass_outdated"  # noqa: S105 - not a password
    NOT_ELIGIBLE = "not_eligible"
    BARRED = "barred"
    NOT_FOUND = "not_found"
    ROUND_NOT_FOUND = "round_not_found"
    NOT_CLAIMED = "not_claimed"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_OPEN = "not_open"
    PAUSED = "paused"
    SOLD_OUT = "sold_out"
    CLOSED = "closed"
    ROUND_EXISTS = "round_exists"
    TOTAL_BELOW_ISSUED = "total_below_issued"
    HAS_CLAIMS = "has_claims"
    NOT_CLOSED = "not_closed"
    ARCHIVING = "archiving"
    AUDIT_FAILED = "audit_failed"
    ARCHIVED = "archived"
    VERSION_MISMATCH = "version_mismatch"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID_ROUND = "invalid_round"
    RATE_LIMITED = "rate_limited"
    ARCHIVE_FAILED = "archive_failed"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"

    # An enumeration's own hash is Python code, and codes are counted for every rejected claim.
    __hash__ = str.__hash__


class ProblemHeader(StrEnum):
    """A header that comes with some problems."""

    RETRY_AFTER = "Retry-After"
    WWW_AUTHENTICATE = "WWW-Authenticate"
    ALLOW = "Allow"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """What a code implies. `title` (English) and `title_zh` are for people; `when` and `client` are for the reference.

    `members` may stand in the document beside the standard ones (`claimd/contract/problem_document.py` has their
    types), `headers` in the answer. `unknown_field_status` is the status where the request body has a field in a
    request that takes none; it is the one case in which a code has a second status.
    """

    status: HTTPStatus
    title: str
    title_zh: str
    when: str
    client: str
    members: tuple[str, ...] = ()
    headers: tuple[ProblemHeader, ...] = ()
    unknown_field_status: HTTPStatus | None = None

    def title_in(self, language: Language) -> str:
        """The title in that language."""
        return self.title_zh if language is Language.CHINESE else self.title


_RETRY = (ProblemHeader.RETRY_AFTER,)
_CHALLENGE = (ProblemHeader.WWW_AUTHENTICATE,)
_ARCHIVED_MEMBERS = ("id", "total", "issued", "version", "file", "sha256", "archived_at", "who", "reason")
_RETRY_THE_SAME = "Retry the same request after `Retry-After` seconds: nothing is known to be granted. A retry is safe."

PROBLEM_TYPES: Final[Mapping[Code, ProblemType]] = {
    Code.BAD_REQUEST: ProblemType(
        HTTPStatus.BAD_REQUEST,
        "The request is not one this service understands.",
        "请求有误，无法处理。",
        "The request is not HTTP, not JSON, has a parameter that does not exist, or arrives too slowly. "
        "422 where a request that takes no fields has one.",
        "Fix the request; a retry does not help. `detail` names the fault.",
        members=("field",),
        unknown_field_status=HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
    Code.UNAUTHENTICATED: ProblemType(
        HTTPStatus.UNAUTHORIZED,
        "The credentials are missing or not valid for this.",
        "缺少身份凭证，或凭证无效。",
        "There are no credentials, they are malformed, expired, badly signed, or for another round. "
        "The reason is the `error_description` in `WWW-Authenticate`.",
        "Get a new token, and a new pass by it; then retry.",
        headers=_CHALLENGE,
    ),
    Code.PASS_OUTDATED: ProblemType(
        HTTPStatus.UNAUTHORIZED,
        "The round's eligibility was edited, or its passes revoked, since this pass was issued.",
        "您的领取凭证已失效，请重新获取。",
        "The pass belongs to an earlier eligibility of the round. A claim that the person holds is still replayed.",
        "Get a new pass with the same token; then retry.",
        headers=_CHALLENGE,
    ),
    Code.NOT_ELIGIBLE: ProblemType(
        HTTPStatus.FORBIDDEN,
        "This round is not open to this person.",
        "您不符合本轮的参与条件。",
        "The token does not have the values that the round's eligibility asks for.",
        "Show it; do not retry.",
    ),
    Code.BARRED: ProblemType(
        HTTPStatus.FORBIDDEN,
        "This person may not claim in this round any more.",
        "您已被取消本轮的领取资格。",
        "An operator has voided the person's claim, and barred them from the round.",
        "Show it; do not retry.",
    ),
    Code.NOT_FOUND: ProblemType(
        HTTPStatus.NOT_FOUND,
        "There is nothing at this address.",
        "您访问的地址不存在。",
        "No route has this path. A console answers on another port than a gateway.",
        "Fix the address.",
    ),
    Code.ROUND_NOT_FOUND: ProblemType(
        HTTPStatus.NOT_FOUND,
        "There is no such round.",
        "该轮次不存在。",
        "No round has this id, or the id has not the form of one.",
        "Fix the id, or look at the list of rounds again.",
    ),
    Code.NOT_CLAIMED: ProblemType(
        HTTPStatus.NOT_FOUND,
        "This person has not claimed in this round.",
        "您在本轮尚未领取。",
        "The person holds no claim in this round.",
        "Claim, if the person wants to.",
    ),
    Code.METHOD_NOT_ALLOWED: ProblemType(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "This address does not take this method.",
        "该地址不支持此请求方法。",
        "The path exists, with other methods: `Allow` lists them.",
        "Fix the request.",
        headers=(ProblemHeader.ALLOW,),
    ),
    Code.NOT_OPEN: ProblemType(
        HTTPStatus.CONFLICT,
        "The round has not opened yet.",
        "本轮尚未开始。",
        "The claim came before `opens_at`, by the server's clock.",
        "Wait for `Retry-After` seconds, and add a random part of a second; then retry.",
        members=("opens_at",),
        headers=_RETRY,
    ),
    Code.PAUSED: ProblemType(
        HTTPStatus.CONFLICT,
        "The round is paused.",
        "本轮已暂停。",
        "An operator has paused the round.",
        "Show it, and read the round every few seconds until it is `open`.",
    ),
    Code.SOLD_OUT: ProblemType(
        HTTPStatus.CONFLICT,
        "Every pack of this round has been claimed.",
        "本轮已领完。",
        "No stock is left. Stock may be added later.",
        "Show it. Packs may be added or come back, so let the person try again; do not retry by yourself.",
    ),
    Code.CLOSED: ProblemType(
        HTTPStatus.CONFLICT,
        "The round is closed.",
        "本轮已结束。",
        "The round is past its `closes_at`, or an operator has closed it.",
        "Show it; do not retry.",
    ),
    Code.ROUND_EXISTS: ProblemType(
        HTTPStatus.CONFLICT,
        "There is a round of this id already.",
        "该轮次编号已存在。",
        "A round of this id exists, or was archived.",
        "Read the round: an earlier, lost request may have created it. Else choose another id.",
    ),
    Code.TOTAL_BELOW_ISSUED: ProblemType(
        HTTPStatus.CONFLICT,
        "More packs than that have been claimed already.",
        "总量不能低于已领取的数量。",
        "The new total is less than the number of packs that were claimed (`issued`).",
        "Choose a total of at least `issued`.",
        members=("issued",),
    ),
    Code.HAS_CLAIMS: ProblemType(
        HTTPStatus.CONFLICT,
        "Packs of this round were claimed, so it cannot be deleted.",
        "本轮已有人领取，无法删除。",
        "`issued` packs of the round were claimed.",
        "Close the round, then archive it.",
        members=("issued",),
    ),
    Code.NOT_CLOSED: ProblemType(
        HTTPStatus.CONFLICT,
        "Only a closed round can be archived.",
        "只有已结束的轮次才能归档。",
        "The round is not closed, by the server's clock. `closes_at` is absent where only the last check found it.",
        "Close the round, or wait for `closes_at`.",
        members=("closes_at",),
    ),
    Code.ARCHIVING: ProblemType(
        HTTPStatus.CONFLICT,
        "Another round is being archived; ask again when that is done.",
        "另一轮次正在归档，请稍后再试。",
        "A console archives one round at a time.",
        "Retry after a few seconds.",
    ),
    Code.AUDIT_FAILED: ProblemType(
        HTTPStatus.CONFLICT,
        "The audit of the archive failed, so nothing was removed.",
        "归档核对未通过，未删除任何数据。",
        "What was written to the archive does not add up: `audit` is the audit. The round stays on the server.",
        "Audit the round, and find out why before anything else.",
        members=("audit",),
    ),
    Code.ARCHIVED: ProblemType(
        HTTPStatus.GONE,
        "The round is over, and its claims have left this service for an archive.",
        "本轮已结束，领取记录已归档。",
        "The round was archived. The members, on the console only, have its place and its operator.",
        "Show that the round is over; do not retry.",
        members=_ARCHIVED_MEMBERS,
    ),
    Code.VERSION_MISMATCH: ProblemType(
        HTTPStatus.PRECONDITION_FAILED,
        "The round was edited since the version that this edit is for.",
        "该轮次在此版本之后已被修改。",
        "`If-Match` names another version than the round has (`version`). Nothing was changed.",
        "Read the round again, decide again, and send the new version.",
        members=("version",),
    ),
    Code.TOO_LARGE: ProblemType(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "The body is too large.",
        "请求内容过大。",
        "The body has more bytes than this request may have.",
        "Send a smaller body.",
    ),
    Code.UNSUPPORTED_MEDIA_TYPE: ProblemType(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "The body must be application/json.",
        "请求内容必须为 application/json 格式。",
        "There is a body with another `Content-Type`, or with a `Content-Encoding`.",
        "Fix the headers.",
    ),
    Code.INVALID_ROUND: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The round cannot be like this.",
        "轮次设置有误。",
        "A field is missing, unknown, or has a value that it cannot have: `field` names it, `detail` has the reason.",
        "Fix the field.",
        members=("field",),
    ),
    Code.RATE_LIMITED: ProblemType(
        HTTPStatus.TOO_MANY_REQUESTS,
        "This person sends too many requests; wait as long as Retry-After says.",
        "请求过于频繁，请稍后再试。",
        "One person sent more requests to one gateway process within a second than it allows.",
        _RETRY_THE_SAME,
        headers=_RETRY,
    ),
    Code.ARCHIVE_FAILED: ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The archive could not be written, so nothing was removed.",
        "归档文件无法写入，未删除任何数据。",
        "The console cannot write its archive folder, or cannot read back what it wrote.",
        "Mend the disk, then retry.",
    ),
    Code.OVERLOADED: ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many claims are waiting; send the request again.",
        "当前排队人数较多，请稍后重试。",
        "A claim would wait for longer than a second, or the process has no connection left. Nothing was decided.",
        _RETRY_THE_SAME,
        headers=_RETRY,
    ),
    Code.UNAVAILABLE: ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "This could not be decided or confirmed now; send the request again.",
        "暂时无法处理或确认，请稍后重试。",
        "The server did not answer in time, or did not confirm: the outcome is unknown.",
        _RETRY_THE_SAME,
        headers=_RETRY,
    ),
}

# Outcomes that are problems; the others are grants.
CODE_OF_OUTCOME: Final[Mapping[Outcome, Code]] = {
    Outcome.NOT_OPEN: Code.NOT_OPEN,
    Outcome.PAUSED: Code.PAUSED,
    Outcome.SOLD_OUT: Code.SOLD_OUT,
    Outcome.CLOSED: Code.CLOSED,
    Outcome.ROUND_NOT_FOUND: Code.ROUND_NOT_FOUND,
    Outcome.ARCHIVED: Code.ARCHIVED,
    Outcome.BARRED: Code.BARRED,
    Outcome.PASS_OUTDATED: Code.PASS_OUTDATED,
    Outcome.NOT_CLAIMED: Code.NOT_CLAIMED,
    Outcome.RATE_LIMITED: Code.RATE_LIMITED,
    Outcome.OVERLOADED: Code.OVERLOADED,
    Outcome.UNAVAILABLE: Code.UNAVAILABLE,
}
CODE_OF_EDIT: Final[Mapping[EditOutcome, Code]] = {
    EditOutcome.ROUND_EXISTS: Code.ROUND_EXISTS,
    EditOutcome.ROUND_NOT_FOUND: Code.ROUND_NOT_FOUND,
    EditOutcome.VERSION_MISMATCH: Code.VERSION_MISMATCH,
    EditOutcome.INVALID_TOTAL: Code.INVALID_ROUND,
    EditOutcome.INVALID_WINDOW: Code.INVALID_ROUND,
    EditOutcome.TOTAL_BELOW_ISSUED: Code.TOTAL_BELOW_ISSUED,
    EditOutcome.HAS_CLAIMS: Code.HAS_CLAIMS,
    EditOutcome.ARCHIVED: Code.ARCHIVED,
    EditOutcome.NOT_CLOSED: Code.NOT_CLOSED,
    EditOutcome.NO_SUCH_CLAIM: Code.NOT_FOUND,
}

TYPE_PREFIX: Final = "urn:claimd:problem:"
PROBLEM_CONTENT_TYPE: Final = "application/problem+json"
