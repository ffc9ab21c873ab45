"""Follows the primary that Redis Sentinel names (https://redis.io/docs/latest/develop/reference/sentinel-clients/).

Every new connection asks all Sentinels for the primary, and checks that it is one. Sentinels close the connections of a
primary that they demote, and a script on a replica is rejected before it runs: then the next connection leads to the
new primary. A failover takes as long as the Sentinels are configured to wait; meanwhile calls fail, and say so.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

# Sentinels answer in a millisecond. One that is down must not take the time of the call that waits for a connection.
_ASK_SECONDS: Final = 0.5

Host = tuple[str, int]


class Primary:
    """The primary of a service, by the Sentinels at these hosts. It keeps no connection to them."""

    def __init__(self, sentinels: Sequence[Host], service: str, login: Mapping[str, str], *, tls: bool) -> None:
        self.sentinels, self.service = tuple(sentinels), service
        self._options: dict[str, Any] = {
            **login,
            "ssl": tls,
            "socket_timeout": _ASK_SECONDS,
            "socket_connect_timeout": _ASK_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "driver_info": None,
        }
        self._asking: asyncio.Task[Host] | None = None

    async def find(self) -> Host:
        """The primary that most Sentinels name, of those that answer. Raises RedisConnectionError where none does.

        All who ask at the same time share one question.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def named_by(self, sentinel: Host) -> Host | None:
        """The primary that one Sentinel names, None where it knows none that works. Raises RedisError, OSError."""
        async with Sentinel([sentinel], sentinel_kwargs=self._options) as asked:  # type: ignore[no-untyped-call]
            services: Any = await asked.sentinels[0].sentinel_masters()
            state = services.get(self.service)
            if state is None or not asked.check_master_state(state, self.service):
                return None
            return str(state["ip"]), int(state["port"])

    async def _ask(self) -> Host:
        answers = await asyncio.gather(*map(self.named_by, self.sentinels), return_exceptions=True)
        named = Counter(answer for answer in answers if isinstance(answer, tuple))
        if not named:
            silent = sum(isinstance(answer, BaseException) for answer in answers)
            raise RedisConnectionError(
                f"no Sentinel names a primary of {self.service!r}: of {len(answers)} asked, {silent} did not answer"
            )
        # One that was cut off may still name the old primary.
        return max(named, key=named.__getitem__)


class PrimaryConnection(Connection):
    """A connection to the primary of `primary`, which is asked for when it connects."""

    def __init__(self, *, primary: Primary, **options: Any) -> None:
        super().__init__(**options)
        self._primary = primary

    async def connect(self) -> None:
        """Connect to the server that is the primary now. Raises RedisError, OSError."""
        if self.is_connected:
            return
        self.host, self.port = await self._primary.find()
        await super().connect()  # type: ignore[no-untyped-call]
        try:
            await self._require_primary()
        except BaseException:
            await self.disconnect(nowait=True)
            raise

    async def _require_primary(self) -> None:
        await self.send_command("ROLE", check_health=False)
        try:
            role = (await self.read_response())[0]
        except ResponseError:
            # A user who may not ask: a script on a replica is rejected all the same.
            return
        if role not in (b"master", "master"):
            raise RedisConnectionError(f"{self.host}:{self.port}, which the Sentinels name, is no primary yet")


class PrimarySSLConnection(PrimaryConnection, SSLConnection):
    """A connection to the primary over TLS."""
