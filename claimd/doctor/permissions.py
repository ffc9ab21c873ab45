"""Whether claimd's user may run all that claimd runs, and whether the server does it now. Nothing is changed.

Permissions to write are read from the server's access control; everything else is tried, on a round that cannot exist.
"""

import re
from collections.abc import AsyncIterator, Iterator

from redis.exceptions import NoPermissionError, ReadOnlyError, RedisError

from claimd.doctor.findings import Finding, blocker, ok
from claimd.domain.claims import IDENTITY_BYTES
from claimd.domain.rounds import ANY_STATUS
from claimd.store.errors import StoreError
from claimd.store.redis import keys
from claimd.store.redis.store import RedisStore

CHECK = "claims"

_ABSENT_ROUND = ""
_COMMAND = re.compile(r"no permissions to run the '([^']+)' command")
# How a server rejects a script of which some key is not permitted.
_KEYS = re.compile(r"permissions to access (a|one of the) key", re.IGNORECASE)
_PREFIX = keys.ROUNDS.removesuffix("rounds")
_RULE = "docs/production.md has the whole rule for its user"


async def check_permissions(url: str) -> list[Finding]:
    """Return one finding; a blocker names all commands that are denied."""
    store = RedisStore.connect(url)
    try:
        denied = await store.diagnosis.acl_denied()
        if denied:
            return [_denied(", ".join(denied))]
        await _try_everything(store)
    except StoreError as error:
        return list(_explain(error.__cause__ or error))
    finally:
        await store.close()
    return [ok(CHECK, "they can be decided: its user may run all that claimd needs")]


async def _try_everything(store: RedisStore) -> None:
    await store.readiness.ping()
    await store.rounds.round_edit(_ABSENT_ROUND, {"paused": True}, "tried by claimd doctor")
    await store.rounds.rounds_page(ANY_STATUS, None, 1)
    await store.claims.find_claims(_ABSENT_ROUND, [bytes(IDENTITY_BYTES)])
    await _read(store.log_reader.log(_ABSENT_ROUND))
    await _read(store.log_reader.claims(_ABSENT_ROUND))
    await store.counts.load()


async def _read(items: AsyncIterator[object]) -> None:
    async for _ in items:
        pass


def _explain(error: BaseException) -> Iterator[Finding]:
    # While it connects, redis-py turns a denied command into a ConnectionError: only its text has the command.
    found = _COMMAND.search(str(error))
    if found is not None:
        yield _denied(found[1].replace("|", " ").upper())
    elif _KEYS.search(str(error)):
        yield blocker(CHECK, f"claimd's user may not use keys that begin with {_PREFIX}", _RULE)
    elif isinstance(error, NoPermissionError):
        yield _denied(str(error))
    else:
        yield blocker(
            CHECK,
            f"they cannot be decided now: {error}",
            "until they can, claims are answered 503",
            may_pass=isinstance(error, RedisError | OSError) and not isinstance(error, ReadOnlyError),
        )


def _denied(what: str) -> Finding:
    return blocker(CHECK, f"claimd's user may not run {what}", _RULE)
