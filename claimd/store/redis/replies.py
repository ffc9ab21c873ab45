"""Replies of the Redis library: awaited, checked for errors, and the server's time read from them."""

from collections.abc import Awaitable
from typing import Any


async def awaited(reply: Awaitable[Any] | Any) -> Any:
    """Await a reply: the library gives each method one type for its synchronous and its asynchronous client alike."""
    return await reply


def without_errors(replies: list[Any]) -> list[Any]:
    """The replies of a pipeline if none of them is an error; raises the first error as the server replied it.

    The exception that the library itself raises quotes the command, and would bring an identity into the log.
    """
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def time_ms(reply: tuple[int, int]) -> int:
    """The reply to TIME in milliseconds since 1970."""
    seconds, microseconds = reply
    return seconds * 1000 + microseconds // 1000
