"""With `CLAIMD_DURABILITY=replica`: whether a replica confirms a write, and how soon. A mark is written to find out.

INFO only shows that a replica is connected, not whether it keeps an append-only file, nor when it syncs that.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from claimd.doctor.facts import Facts
from claimd.doctor.findings import Finding, blocker, ok, warning
from claimd.store.errors import StoreError
from claimd.store.redis.acknowledgement import PATIENCE_MS, is_confirmed
from claimd.store.redis.store import RedisStore

CHECK = "replicas"

# The first try includes connecting. A replica that syncs once a second may confirm one try in time, but not the next.
_TRIES = 3
# Every batch waits for the confirmation: beyond this, a gateway cannot decide claims as fast as a drop sends them.
_SLOW_SECONDS = 0.1


async def check_replicas(url: str, facts: Facts) -> list[Finding]:
    """Return one finding: a blocker without a confirmation, a warning for a slow one."""
    store = RedisStore.connect(url)
    try:
        for _ in range(_TRIES):
            began = time.perf_counter()
            replies = await store.diagnosis.try_confirmation()
            seconds = time.perf_counter() - began
            if not is_confirmed(replies):
                break
    except StoreError as error:
        return [blocker(CHECK, f"could not be checked: {error}", "until then, claims are answered 503", may_pass=True)]
    finally:
        await store.close()
    return list(_judge(replies, seconds, facts))


def _judge(replies: Sequence[Any], seconds: float, facts: Facts) -> Iterator[Finding]:
    denied = [str(reply) for reply in replies if isinstance(reply, NoPermissionError)]
    if denied:
        yield blocker(CHECK, f"claimd's user may not wait for them: {denied[0]}", "ACL SETUSER … +wait +waitaof")
    elif not is_confirmed(replies):
        connected = "" if facts.info is None else f"; {facts.info.get('connected_slaves', 0)} are connected"
        yield blocker(
            CHECK,
            f"none has confirmed a write within {PATIENCE_MS} ms{connected}",
            "give one appendonly yes and appendfsync always; until one confirms, claims are answered 503",
            may_pass=True,
        )
    elif seconds > _SLOW_SECONDS:
        yield warning(
            CHECK, f"one confirms a write, but only after {seconds:.2f} s", "check its disk and the network to it"
        )
    else:
        where = "in its memory (WAIT)" if isinstance(replies[-1], ResponseError) else "on its disk (WAITAOF)"
        yield ok(CHECK, f"every grant is with one, {where}, before it is acknowledged; {seconds * 1000:.1f} ms")
