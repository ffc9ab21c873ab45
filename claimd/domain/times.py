"""Instants: integer milliseconds since 1970 UTC inside claimd, RFC 3339 in UTC with milliseconds outside."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from claimd.domain.sentences import Template, WrongValue

# 9999-12-31T23:59:59.999Z: the last instant of RFC 3339.
MAX_TIME_MS = 253_402_300_799_999

HOUR_MS = 3_600_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# RFC 3339, section 5.6. A fraction finer than a millisecond is rejected, not cut, as it would be returned differently.
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,3}0*)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)

# Usual incomplete forms, each with what it lacks. No offset is assumed: the server's may differ from the author's.
_LACKS = (
    (
        re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII),
        Template(
            "has no time and no offset: add both, such as T20:00:00+08:00",
            "缺少时刻和时区，请补全，例如 T20:00:00+08:00",
        ),
    ),
    (
        re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?", re.ASCII),
        Template("has no offset: add Z or one such as +08:00", "缺少时区，请加上 Z 或例如 +08:00"),
    ),
    (
        re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}([Zz]|[+-].*)", re.ASCII),
        Template("has no seconds: add :00", "缺少秒数，请加上 :00"),
    ),
    (
        re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}.*", re.ASCII),
        Template("has a space: T belongs there", "日期和时刻之间应为 T，不能是空格"),
    ),
)

_NO_TIME = Template(
    "must be an RFC 3339 time with at most milliseconds, such as 2026-04-20T12:00:00.000Z",
    "必须是 RFC 3339 格式的时间，最多精确到毫秒，例如 2026-04-20T12:00:00.000Z",
)
_NOT_IN_CALENDAR = Template("is not a time of the calendar: {library}", "不是有效的日期时间")
_OUT_OF_RANGE = Template("must lie between the years 1970 and 9999", "必须在 1970 年至 9999 年之间")


@lru_cache(maxsize=4096)
def to_rfc3339(time_ms: int) -> str:
    """`1585857600000` becomes `2020-04-02T20:00:00.000Z`. Cached, as all claims of a batch have the same instant."""
    instant = _EPOCH + timedelta(milliseconds=time_ms)
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"


def from_rfc3339(text: str) -> int:
    """Milliseconds since 1970 UTC of an RFC 3339 timestamp with any offset.

    Raises WrongValue, with a phrase for the author, for any other text, for an instant before 1970 and for a fraction
    finer than a millisecond.
    """
    if not _RFC3339.fullmatch(text):
        for form, lack in _LACKS:
            if form.fullmatch(text):
                raise WrongValue(lack())
        raise WrongValue(_NO_TIME())
    try:
        instant = datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise WrongValue(_NOT_IN_CALENDAR(library=error)) from None
    time_ms = (instant - _EPOCH) // timedelta(milliseconds=1)
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise WrongValue(_OUT_OF_RANGE())
    return time_ms
