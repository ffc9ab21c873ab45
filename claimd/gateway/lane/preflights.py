"""Preflights of browsers, in the lane; `http/cors.py` has the answers, and aiohttp answers where it has none."""

import time

from claimd.gateway.context import Context
from claimd.gateway.lane.exchange import Exchange


def answer_preflight(context: Context, exchange: Exchange) -> None:
    """Tell a browser what its page may send to this path."""
    answer = context.cors.preflight_answer(exchange.head.origin, exchange.target.path, int(time.time()))
    if answer is None:
        exchange.leave_to_aiohttp()
    else:
        exchange.send(answer)
