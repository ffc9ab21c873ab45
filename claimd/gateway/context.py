"""The objects that the gateway's handlers and its lane share."""

from dataclasses import dataclass

from aiohttp import web

from claimd.engine.engine import ClaimEngine
from claimd.gateway.rate_limit import RateLimit
from claimd.gateway.readings.round_readings import RoundReadings
from claimd.identity.bearer import BearerTokens
from claimd.identity.passes import Passes
from claimd.store.ports import Readiness, RoundReader


@dataclass(frozen=True, slots=True)
class Context:
    """The shared objects of one gateway process."""

    rounds: RoundReader
    readings: RoundReadings
    readiness: Readiness
    engine: ClaimEngine
    passes: Passes
    bearer_tokens: BearerTokens
    rate_limit: RateLimit


CONTEXT = web.AppKey("context", Context)
