"""What one generator does in one drop, prepared before the round exists: its requests, and what they carry."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import gevent
import numpy as np

from claimd.identity.keys import Keys
from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client.credentials import mint
from loadtest.client.minting import Issuer, Tokens, mint_tokens
from loadtest.client.requests import Requests
from loadtest.client.visit_answers import VisitReader
from loadtest.crowd.evening import gather_visits
from loadtest.crowd.records import Records
from loadtest.crowd.schedule import Kind, Schedule, gather
from loadtest.drop.claim_run import ClaimRun
from loadtest.drop.dispatcher import Run
from loadtest.drop.judge import Judge
from loadtest.drop.messages import Prepare
from loadtest.drop.visits.people import People
from loadtest.drop.visits.records import VisitRecords
from loadtest.drop.visits.run import VisitRun

# The crowd is largest in the first ten seconds: there a core that also builds the requests would come too late. 150 MB.
_READY: Final = 200_000
_BREATHE_EVERY: Final = 1000

Sign = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Share:
    """The requests of one generator, and how they are sent."""

    plan: Prepare
    records: Records | VisitRecords
    """Of the crowd: requests that the dispatcher sends."""
    first_offset: float
    """When the first of them is due, in seconds after the opening; infinite where there is none."""
    build_run: Callable[[Judge, Requests, float], Run]
    """The run, once the round is there: from the judge, the requests' builder and the monotonic time of the opening."""
    app_records: Records
    """Of the app users: a row each, which `AppUser` fills."""
    sign: Sign
    """The bearer token of an app user, by the token's subject."""
    tokens: Tokens | None = None
    """Of whole visits: the people's bearer tokens."""


def claim_share(plan: Prepare, keys: Keys, requests: Requests, app_users: int, sign: Sign) -> Share:
    """The claims of a drop, with passes that are minted here; those of the first seconds are built here, too.

    Locust may have started fewer app users here than the schedule has: the crowd takes over the rest.
    """
    schedule = gather(plan.pool, plan.seconds, plan.seed, plan.app_users).slice(plan.index, plan.count)
    app_rows = np.flatnonzero(schedule.kinds == Kind.APP)
    schedule.kinds[app_rows[app_users:]] = Kind.CLAIM
    by_app = schedule.kinds == Kind.APP
    crowd = schedule.pick(~by_app)
    records = Records(crowd)
    # All taps of a person carry the same pass.
    persons, which = np.unique(crowd.persons, return_inverse=True)
    passes = mint(keys, plan.round_id, plan.seed, persons, crowd.people, _breathe)
    starts = array("q", (which.astype(np.int64) * PASS_CHARACTERS).tobytes())
    ready: list[bytes] = []
    for row in range(min(len(crowd), _READY)):
        ready.append(requests.claim(int(crowd.persons[row]), passes[starts[row] : starts[row] + PASS_CHARACTERS]))
        if row % _BREATHE_EVERY == 0:
            _breathe()
    return Share(
        plan=plan,
        records=records,
        first_offset=_first_offset(crowd),
        build_run=lambda judge, requests, origin: ClaimRun(records, passes, starts, judge, requests, origin, ready),
        app_records=Records(schedule.pick(by_app)),
        sign=sign,
    )


def visit_share(plan: Prepare, keys: Keys, issuer: Issuer) -> Share:
    """The visits of every count-th person, whose tokens are minted by processes beside. Raises MintingError.

    Only the bad passes are minted here; every other pass comes from claimd.
    """
    whole = gather_visits(plan.pool, plan.seconds, plan.gathering_seconds, plan.seed)
    numbers = range(plan.index, int(whole.persons.max()) + 1, plan.count)
    persons = range(plan.index, whole.people, plan.count)
    schedule = whole.slice_by_person(plan.index, plan.count)
    tokens = mint_tokens(issuer, plan.seed, persons)
    people, records = People(numbers, tokens), VisitRecords(schedule)
    bad = np.arange(numbers[len(persons)] if len(numbers) > len(persons) else numbers.stop, numbers.stop, plan.count)
    packed = mint(keys, plan.round_id, plan.seed, bad.astype(np.int32), whole.people, _breathe)
    for at, number in enumerate(bad.tolist()):
        people.give_pass(number // plan.count, packed[at * PASS_CHARACTERS : (at + 1) * PASS_CHARACTERS])
    reader = VisitReader(plan.round_id)
    return Share(
        plan=plan,
        records=records,
        first_offset=_first_offset(schedule),
        build_run=lambda judge, requests, origin: VisitRun(
            records, people, judge, reader, requests, origin, plan.seed + plan.index
        ),
        app_records=Records(whole.pick(np.zeros(len(whole), bool))),
        sign=cannot_sign,
        tokens=tokens,
    )


def cannot_sign(sub: str) -> str:
    """For drops without app users: raises ValueError."""
    raise ValueError(f"no key is there to sign a token for {sub}")


def _first_offset(schedule: Schedule) -> float:
    return float(schedule.offsets[0]) if len(schedule) else float("inf")


def _breathe() -> None:
    gevent.sleep(0)
