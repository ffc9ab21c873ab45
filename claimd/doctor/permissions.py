"""Whether claimd's user may do all that claimd does, and the server does it now: really tried, and nothing is changed.

What writes is asked of the server's own access control, the rest is done: on a round that cannot exist.
"""

import re
from collections.abc import AsyncIterator, Iterator

from redis.exceptions import NoPermissionError, ReadOnlyError, RedisError

from claimd.doctor.findings import Finding, ok, refusal
from claimd.domain.claims import IDENTITY_BYTES
from claimd.domain.rounds import ANY_STATUS
from claimd.store.errors import StoreError
from claimd.store.redis import keys
from claimd.store.redis.store import RedisStore

CHECK = "claims"

_NOWHERE = ""
_COMMAND = re.compile(r"no permissions to run the '([^']+)' command")
# What it says of the keys of a script, whichever they are.
_KEYS = re.compile(r"permissions to access (a|one of the) key", re.IGNORECASE)
_PREFIX = keys.ROUNDS.removesuffix("rounds")
_RULE = "docs/production.md has the whole rule for its user"


async def check_permissions(url: str) -> list[Finding]:
    """One finding for all commands that are denied."""
    store = RedisStore.connect(url)
    try:
        denied = await store.diagnosis.acl_denied()
        if denied:
            return [_denied(", ".join(denied))]
        await _try_everything(store)
    except StoreError as error:
        return list(_why(error.__cause__ or error))
    finally:
        await store.close()
    return [ok(CHECK, "they can be decided: its user may run all that claimd needs")]


async def _try_everything(store: RedisStore) -> None:
    await store.readiness.ping()
    await store.rounds.round_edit(_NOWHERE, {"paused": True}, "tried by claimd doctor")
    await store.rounds.rounds_page(ANY_STATUS, None, 1)
    await store.claims.find_claim(_NOWHERE, bytes(IDENTITY_BYTES))
    await _read(store.log_reader.log(_NOWHERE))
    await _read(store.log_reader.claims(_NOWHERE))
    await store.counts.load()


async def _read(items: AsyncIterator[object]) -> None:
    async for _ in items:
        pass


def _why(error: BaseException) -> Iterator[Finding]:
    # While it connects, the library makes a ConnectionError of a command that was denied.
    found = _COMMAND.search(str(error))
    if found is not None:
        yield _denied(found[1].replace("|", " ").upper())
    elif _KEYS.search(str(error)):
        yield refusal(CHECK, f"claimd's user may not use keys that begin with {_PREFIX}", _RULE)
    elif isinstance(error, NoPermissionError):
        yield _denied(str(error))
    else:
        yield refusal(
            CHECK,
            f"they cannot be decided now: {error}",
            "until they can, claims are answered 503",
            may_pass=isinstance(error, RedisError | OSError) and not isinstance(error, ReadOnlyError),
        )


def _denied(what: str) -> Finding:
    return refusal(CHECK, f"claimd's user may not run {what}", _RULE)
