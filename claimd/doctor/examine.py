"""All checks of a server before claimd runs on it, in the order in which they are reported.

Every server yields a report: what cannot be checked is a warning, and a server that does not answer is a blocker that
may pass.
"""

import time
from collections.abc import Callable

from redis.exceptions import AuthenticationError, RedisError, ResponseError

from claimd.doctor.clock import check_clock
from claimd.doctor.durability import check_durability
from claimd.doctor.eviction import check_eviction
from claimd.doctor.facts import Facts, read_facts
from claimd.doctor.findings import Finding, Level, Report, blocker
from claimd.doctor.permissions import check_permissions
from claimd.doctor.replicas import check_replicas
from claimd.doctor.role import check_mode, check_role
from claimd.doctor.secret import check_secret
from claimd.doctor.sentinels import check_sentinels
from claimd.doctor.version import check_version
from claimd.store.durability import Durability
from claimd.store.installation import Installation
from claimd.store.redis.addresses import without_password
from claimd.store.redis.client import connect


async def examine(
    url: str,
    durability: Durability = Durability.LOCAL,
    clock: Callable[[], float] = time.time,
    *,
    installation: Installation | None = None,
    compares_secret: bool = True,
) -> Report:
    """Run all checks on the server at `url`.

    `clock` is this machine's, in seconds since 1970. `installation` is compared with the one that the server keeps;
    None where this claimd knows no secret. Without `compares_secret` that check is left out. Replicas are checked with
    `Durability.REPLICA` only, by writing a mark that they have to confirm.
    """
    address = without_password(url)
    try:
        async with connect(url) as server:
            facts = await read_facts(server, clock)
    except (RedisError, OSError, ValueError) as error:
        return Report(address, (*await check_sentinels(url), _unreachable(error)))
    findings = [*await check_sentinels(url), *_judge(facts, address)]
    # On a server that is too old, or on a replica, the checks below would only repeat that in other words.
    if not any(finding.level is Level.BLOCKER for finding in findings):
        findings += await check_permissions(url)
        if compares_secret:
            findings += await check_secret(url, installation)
        if durability is Durability.REPLICA:
            findings += await check_replicas(url, facts)
    return Report(address, (*findings, *check_clock(facts)))


def _judge(facts: Facts, address: str) -> list[Finding]:
    wrong_kind = list(check_mode(facts))
    if wrong_kind:
        # The file, memory and role of a cluster node or a Sentinel mean something else.
        return [*check_version(facts, address), *wrong_kind]
    return [*check_version(facts, address), *check_durability(facts), *check_eviction(facts), *check_role(facts)]


def _unreachable(error: Exception) -> Finding:
    # The library makes a ConnectionError of whatever is replied while it logs in and chooses the database.
    reply = error.__cause__ or error
    if isinstance(reply, AuthenticationError | ResponseError):
        return blocker("server", f"it does not let claimd in: {reply}", "redis://user:password@host names both")
    return blocker("server", f"it does not answer: {error}", "until it does, claims are answered 503", may_pass=True)
