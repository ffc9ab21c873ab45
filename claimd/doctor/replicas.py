"""With `CLAIMD_DURABILITY=replica`: whether a replica confirms what is written, and how soon. It is tried, with a mark.

INFO could only tell that one is connected, not that it keeps a file, nor when that is on its disk.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from claimd.doctor.facts import Facts
from claimd.doctor.findings import Finding, ok, refusal, warning
from claimd.store.errors import StoreError
from claimd.store.redis.acknowledgement import PATIENCE_MS, is_confirmed
from claimd.store.redis.store import RedisStore

CHECK = "replicas"

# The first one also connects. A replica that tells of its disk once a second confirms one by chance, but not the next.
_TRIES = 3
# A batch waits for so long: beyond, claims come in faster than a drop can bear.
_SLOW_SECONDS = 0.1


async def check_replicas(url: str, facts: Facts) -> list[Finding]:
    """One finding."""
    store = RedisStore.connect(url)
    try:
        for _ in range(_TRIES):
            began = time.perf_counter()
            replies = await store.diagnosis.try_confirmation()
            seconds = time.perf_counter() - began
            if not is_confirmed(replies):
                break
    except StoreError as error:
        return [refusal(CHECK, f"could not be tried: {error}", "until then, claims are answered 503", may_pass=True)]
    finally:
        await store.close()
    return list(_judge(replies, seconds, facts))


def _judge(replies: Sequence[Any], seconds: float, facts: Facts) -> Iterator[Finding]:
    denied = [str(reply) for reply in replies if isinstance(reply, NoPermissionError)]
    if denied:
        yield refusal(CHECK, f"claimd's user may not wait for them: {denied[0]}", "ACL SETUSER … +wait +waitaof")
    elif not is_confirmed(replies):
        connected = "" if facts.info is None else f"; {facts.info.get('connected_slaves', 0)} are connected"
        yield refusal(
            CHECK,
            f"none has confirmed a write within {PATIENCE_MS} ms{connected}",
            "give one appendonly yes and appendfsync always; until one confirms, claims are answered 503",
            may_pass=True,
        )
    elif seconds > _SLOW_SECONDS:
        yield warning(
            CHECK, f"one confirms a write, but only after {seconds:.2f} s", "look at its disk and at the way there"
        )
    else:
        where = "in its memory (WAIT)" if isinstance(replies[-1], ResponseError) else "on its disk (WAITAOF)"
        yield ok(CHECK, f"every grant is with one, {where}, before it is told; {seconds * 1000:.1f} ms")
