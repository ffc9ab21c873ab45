"""The objects that the gateway's handlers and its lane share."""

from dataclasses import dataclass, field

from aiohttp import web

from claimd.engine.engine import ClaimEngine
from claimd.gateway.events.live_rounds import LiveRounds
from claimd.gateway.rate_limit import RateLimit
from claimd.gateway.readings.round_readings import RoundReadings
from claimd.http.cors import Cors
from claimd.identity.bearer import BearerTokens
from claimd.identity.passes import Passes
from claimd.store.ports import Readiness, RoundReader


@dataclass(frozen=True, slots=True)
class Context:
    """The shared objects of one gateway process."""

    rounds: RoundReader
    readings: RoundReadings
    live_rounds: LiveRounds
    readiness: Readiness
    engine: ClaimEngine
    passes: Passes
    bearer_tokens: BearerTokens
    rate_limit: RateLimit
    cors: Cors = field(default_factory=Cors)


CONTEXT = web.AppKey("context", Context)
