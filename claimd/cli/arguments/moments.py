"""Instants as people type them: RFC 3339, `now`, or counted from now, such as `+30s`."""

import re

from claimd.domain.times import MAX_TIME_MS, from_rfc3339
from claimd.errors import WrongUsage

_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_FROM_NOW = re.compile(r"\+(\d{1,9})([smhd])", re.ASCII)

_MAX_DURATION_MS = 30 * _UNIT_MS["d"]

HELP = "RFC 3339, or by the server's clock: now, +30s, +5m, +2h, +1d."
CLOSING_HELP = "RFC 3339, now, or counted from the opening: +2h, +2d."


def parse_moment(text: str, now_ms: int, flag: str) -> int:
    """Milliseconds since 1970; `now_ms` is the server's clock. Raises WrongUsage that names the flag."""
    if text == "now":
        return now_ms
    if match := _FROM_NOW.fullmatch(text):
        return within_rfc3339(now_ms + int(match[1]) * _UNIT_MS[match[2]], f"{flag} {text!r}")
    try:
        return from_rfc3339(text)
    except ValueError as error:
        relative = "; or now, +30s, +5m, +2h, +1d" if str(error).startswith("must be") else ""
        raise WrongUsage(f"{flag} {text!r} {error}{relative}") from None


def parse_closing(text: str, now_ms: int, opens_at_ms: int) -> int:
    """As `parse_moment`, except that what is counted is counted from the opening: `+2d` is two days of it."""
    return parse_moment(text, opens_at_ms if is_counted(text) else now_ms, "--closes-at")


def is_counted(text: str) -> bool:
    """Whether an instant is counted from another one, as `+30s` is."""
    return _FROM_NOW.fullmatch(text) is not None


def parse_duration_ms(text: str, flag: str) -> int:
    """The milliseconds of a duration such as `90s` or `8h`, from 1 s to 30 days. Raises WrongUsage."""
    found = _DURATION.fullmatch(text)
    duration_ms = int(found[1]) * _UNIT_MS[found[2]] if found else 0
    if not 1 <= duration_ms <= _MAX_DURATION_MS:
        raise WrongUsage(f"{flag} {text!r} must be a duration from 1s to 30d, such as 90s, 15m, 8h or 2d")
    return duration_ms


def within_rfc3339(time_ms: int, name: str) -> int:
    """`time_ms`, where RFC 3339 can spell it. Raises WrongUsage that begins with `name`."""
    if time_ms > MAX_TIME_MS:
        raise WrongUsage(f"{name} is later than the year 9999")
    return time_ms
