"""The store in Redis or Valkey: every change is one Lua script call, every answer is read back from the server.

Never asks twice by itself: the library's own retries are off, and whoever calls knows what may be repeated.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

import orjson
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from claimd.domain.archived import Archived
from claimd.domain.claims import IDENTITY_BYTES, Claim
from claimd.domain.log import ADMIN, EditAction, EditEntry, GrantsEntry, LogEntry
from claimd.domain.outcomes import Decision, EditOutcome, Outcome
from claimd.domain.rounds import FIRST_EPOCH, MAX_TOTAL, NO_EPOCH, Definition, Round, Status
from claimd.store.errors import StoreDamaged, StoreUnavailable
from claimd.store.fields import definition_fields, read_pairs, spelled
from claimd.store.installation import Installation, InstallationDiffers
from claimd.store.ports import ClaimLookup, Edited, Position, Reading, RecentRounds, RoundsPage
from claimd.store.redis import keys
from claimd.store.redis.acknowledgement import Durability, Local, Replicated, made_sure, waits
from claimd.store.redis.acl import NEEDED
from claimd.store.redis.call_groups import CallGroups
from claimd.store.redis.connections import TCP_OPTIONS, TRUSTED_SECONDS, CheckedPool, IdleConnections
from claimd.store.redis.counts import RedisCounts
from claimd.store.redis.damage import round_or_damage
from claimd.store.redis.errors import translated_errors
from claimd.store.redis.round_index import RoundIndex
from claimd.store.redis.script_calls import ScriptCalls
from claimd.store.redis.scripts import Script, load_script

# A batch takes milliseconds; what takes seconds is a server that stalls, and its outcome is unknown. Half of a claim's
# deadline, so that there is time to ask once more. The same for an operator or a page: a network that drops everything
# in the middle of a call costs its caller this long (see `connections.py` for idle connections).
_CLAIM_TIMEOUT_SECONDS = 2.0
_READ_TIMEOUT_SECONDS = 2.0
_CONNECT_TIMEOUT_SECONDS = 2.0
# Two calls a round at most; a drop is one round, or a few at once.
_CLAIM_CONNECTIONS = 16
_SHOW_CONNECTIONS = 8
_EDIT_CONNECTIONS = 4
_READ_CONNECTIONS = 32
_LOG_PAGE = 200
_SCAN_PAGE = 1000
_INDEXED_FIELDS = frozenset({"opens_at_ms", "closes_at_ms", "closed"})


class RedisStore:
    """Implements `Store`. `connect` makes one; `close` gives its connections back."""

    def __init__(
        self,
        claiming: ScriptCalls,
        showing: ScriptCalls,
        editing: ScriptCalls,
        reading: "Redis",
        sure: Local | Replicated,
        installation: Installation | None = None,
    ) -> None:
        """`claiming` is kept for batches of claims, so that nothing else can hold one up.

        With an `installation` nothing is decided or shown to a person before the server has agreed to it.
        """
        self._claiming = claiming
        self._showing = showing
        self._editing = editing
        self._reading = reading
        self._index = RoundIndex(reading)
        self._sure = sure
        self.counts = RedisCounts(reading, editing)
        self._installation = installation
        self._agreed = installation is None
        self._claim = load_script("claim")
        self._claims = CallGroups(claiming, self._claim, _CLAIM_CONNECTIONS, _CLAIM_TIMEOUT_SECONDS)
        self._round_create = load_script("round_create")
        self._round_edit = load_script("round_edit")
        self._round_delete = load_script("round_delete")
        self._round_archive = load_script("round_archive")
        self._installation_agree = load_script("installation_agree")
        self._acl_denied = load_script("acl_denied")

    @classmethod
    def connect(
        cls, url: str, durability: Durability = Durability.LOCAL, installation: Installation | None = None
    ) -> "RedisStore":
        """A store at a redis://, rediss:// or unix:// URL (see `check_url`). Connects with the first call."""
        return cls(
            claiming=_script_calls(url, _CLAIM_CONNECTIONS, _CLAIM_TIMEOUT_SECONDS),
            showing=_script_calls(url, _SHOW_CONNECTIONS, _READ_TIMEOUT_SECONDS),
            # An edit must not be repeated blindly: its connection is probed each time.
            editing=_script_calls(url, _EDIT_CONNECTIONS, _READ_TIMEOUT_SECONDS, trusted_seconds=0.0),
            reading=Redis.from_pool(_pool(url, _READ_CONNECTIONS, _READ_TIMEOUT_SECONDS)),
            sure=made_sure(durability, time.monotonic),
            installation=installation,
        )

    async def close(self) -> None:
        """Close all connections."""
        sets = (self._claiming, self._showing, self._editing)
        await asyncio.gather(*(calls.close() for calls in sets), self._reading.aclose(), return_exceptions=True)

    async def agree(self) -> None:
        """Have the server keep our installation, or find that it is the one it keeps. Raises InstallationDiffers."""
        if self._installation is not None:
            pairs = [part for pair in self._installation.fields().items() for part in pair]
            kept = await self._claiming.call(self._installation_agree, (keys.INSTALLATION,), pairs)
            difference = self._installation.difference(_texts(kept))
            if difference:
                raise InstallationDiffers(difference)
        self._agreed = True

    async def installation(self) -> dict[str, str]:
        """What must be the same on every gateway, as far as the server keeps it already."""
        with translated_errors():
            kept = await _awaited(self._reading.hgetall(keys.INSTALLATION))
        return {name.decode(): value.decode() for name, value in kept.items()}

    async def has_rounds(self) -> bool:
        """Whether there is any round, also one that is over."""
        with translated_errors():
            return bool(await _awaited(self._reading.scard(keys.ROUNDS)))

    async def claim(self, round_id: str, identities: Sequence[bytes], epoch: int = FIRST_EPOCH) -> list[Decision]:
        """See `Store.claim`."""
        if not self._agreed:
            await self.agree()
        return await self._claim_over(self._claiming, round_id, identities, epoch)

    async def _claim_over(
        self, calls: ScriptCalls, round_id: str, identities: Sequence[bytes], epoch: int
    ) -> list[Decision]:
        names = (keys.round_key(round_id), keys.claims_key(round_id), keys.log_key(round_id))
        args = (round_id, str(epoch), self._sure.rewrite, b"".join(identities))
        reply, others = (
            await self._claims.call_and(names, args, self._sure.waits())
            if calls is self._claiming
            else await calls.call_and(self._claim, names, args, self._sure.waits())
        )
        decided = _read_decisions(reply, len(identities))
        told = self._sure.claims(decided, others)
        if told is not decided:
            # A primary that no replica hears may be none any more: the address may lead to another server already.
            await calls.abandon()
        return told

    async def round_create(self, definition: Definition, reason: str, who: str = ADMIN) -> Edited:
        """See `Store.round_create`."""
        await self._index.prepare_creation(definition)
        fields = _logged(definition_fields(definition))
        return await self._indexed(
            await self._edit(self._round_create, definition.id, EditAction.CREATE, who, reason, *fields)
        )

    async def round_edit(
        self,
        round_id: str,
        changes: dict[str, Any],
        reason: str,
        *,
        action: EditAction = EditAction.EDIT,
        who: str = ADMIN,
        if_version: int | None = None,
    ) -> Edited:
        """See `Store.round_edit`."""
        await self._index.prepare_edit(round_id, changes)
        absolute = {name: value for name, value in changes.items() if name != "total_change"}
        total_change, max_total = str(changes.get("total_change", 0)), str(MAX_TOTAL)
        edited = await self._edit(
            self._round_edit,
            round_id,
            action,
            who,
            reason,
            _version_text(if_version),
            total_change,
            max_total,
            *_logged(spelled(absolute)),
        )
        return await self._indexed(edited) if changes.keys() & _INDEXED_FIELDS else edited

    async def round_delete(
        self, round_id: str, reason: str, *, who: str = ADMIN, if_version: int | None = None
    ) -> Edited:
        """See `Store.round_delete`."""
        edited = await self._edit(
            self._round_delete, round_id, EditAction.DELETE, who, reason, _version_text(if_version)
        )
        if edited.outcome is EditOutcome.DONE:
            # After the round itself: a name without a round is passed over.
            await self._index.remove(round_id)
        return edited

    async def round_archive(
        self, round_id: str, *, version: int, issued: int, sha256: str, file: str, reason: str, who: str = ADMIN
    ) -> Edited:
        """See `Store.round_archive`."""
        names = (keys.round_key(round_id), keys.claims_key(round_id), keys.log_key(round_id))
        edited = await self._edit_keys(
            self._round_archive, round_id, names, str(version), str(issued), sha256, file, who, reason
        )
        if edited.outcome is EditOutcome.DONE:
            # After the round itself: a name of a round that was archived is passed over.
            await self._index.remove(round_id)
        return edited

    async def round(self, round_id: str) -> Reading:
        """See `Store.round`."""
        if not self._agreed:
            await self.agree()
        with translated_errors():
            pipeline = self._reading.pipeline(transaction=False)
            # The time first: a status derived from it is never ahead of what was read.
            pipeline.time()
            pipeline.hgetall(keys.round_key(round_id))
            time_reply, reply = await pipeline.execute(raise_on_error=False)
            ((seconds, microseconds),) = _replies([time_reply])
            found = round_or_damage(round_id, reply)
        return Reading(seconds * 1000 + microseconds // 1000, *_round_or_stub(found))

    async def rounds_page(self, statuses: Collection[Status], after: Position | None, limit: int) -> RoundsPage:
        """See `Store.rounds_page`. A round that cannot be read is left out, and logged once."""
        return await self._index.page(statuses, after, limit)

    async def recent_rounds(self, over_for_ms: int, limit: int) -> RecentRounds:
        """See `Store.recent_rounds`."""
        return await self._index.recent(over_for_ms, limit)

    async def find_claim(self, round_id: str, identity: bytes) -> ClaimLookup:
        """See `Store.find_claim`."""
        if not self._agreed:
            await self.agree()
        with translated_errors():
            pipeline = self._reading.pipeline(transaction=False)
            pipeline.hexists(keys.round_key(round_id), "total")
            pipeline.hexists(keys.round_key(round_id), "archived")
            pipeline.hget(keys.claims_key(round_id), cast(str, identity))
            exists, archived, value = _replies(await pipeline.execute(raise_on_error=False))
        claim = _read_claim(round_id, value) if value else None
        if claim is not None and self._sure.rewrite == "1":
            # To show a claim is to tell it. What is told is what was confirmed: the reading may be of another server.
            (decision,) = await self._claim_over(self._showing, round_id, [identity], NO_EPOCH)
            if not decision.serial:
                raise StoreUnavailable("no replica has confirmed the claim: a failover may lose it")
            claim = Claim(round_id, decision.serial, decision.claimed_at_ms)
        return ClaimLookup(bool(exists), claim, bool(archived))

    async def log(self, round_id: str) -> AsyncIterator[LogEntry]:
        """See `Store.log`."""
        key = keys.log_key(round_id)
        with translated_errors():
            newest = await _awaited(self._reading.xrevrange(key, count=1))
        if not newest:
            return
        end, start = newest[0][0], b"-"
        while True:
            with translated_errors():
                page = await _awaited(self._reading.xrange(key, min=start, max=end, count=_LOG_PAGE))
            for _, fields in page:
                entry = _read_entry(round_id, fields)
                if entry is not None:
                    yield entry
            if page and page[-1][0] == end:
                return
            if not page:
                # Archived meanwhile. A part must never be taken for the whole.
                raise StoreUnavailable("the log was removed while it was read")
            start = b"(" + page[-1][0]

    async def claims(self, round_id: str) -> AsyncIterator[tuple[bytes, Claim]]:
        """See `Store.claims`."""
        key, cursor = keys.claims_key(round_id), 0
        while True:
            with translated_errors():
                cursor, page = await _awaited(self._reading.hscan(key, cursor, count=_SCAN_PAGE))
            for identity, value in page.items():
                yield identity, _read_claim(round_id, value)
            if cursor == 0:
                return

    async def ping(self) -> None:
        """See `Store.ping`: the very script, on a round that cannot exist, so that it reads and changes nothing.

        A server that is full, loading, or a replica answers PING, but refuses this one.
        """
        if not self._agreed:
            await self.agree()
        names = (keys.round_key(""), keys.claims_key(""), keys.log_key(""))
        args = ("", str(FIRST_EPOCH), "0", bytes(IDENTITY_BYTES))
        _, others = await self._editing.call_and(self._claim, names, args, self._sure.looks())
        if not self._sure.may_confirm(others):
            raise StoreUnavailable("no replica is connected that could confirm a claim")

    async def acl_denied(self) -> list[str]:
        """Those of the commands in `permissions.NEEDED` that the server does not permit to our user."""
        reply = await self._editing.call(self._acl_denied, (keys.round_key(""),), ("\n".join(NEEDED),))
        return [command.decode() for command in reply]

    async def try_confirmation(self) -> list[Any]:
        """Write a mark and wait for a replica to have it: the replies to `durability.waits`, errors being values."""
        with translated_errors():
            pipeline = self._reading.pipeline(transaction=False)
            pipeline.hset(keys.DOCTOR, "tried", "1")
            for command in waits():
                pipeline.execute_command(*command)
            written, *replies = await pipeline.execute(raise_on_error=False)
            if isinstance(written, Exception):
                # With nothing written there is nothing to wait for, which looks like a confirmation.
                raise written
        return replies

    async def rewrite_file(self) -> None:
        """Have the server write its append-only file anew, in the background, with what it holds now alone."""
        try:
            with translated_errors():
                await _awaited(self._reading.bgrewriteaof())
        except StoreUnavailable as error:
            # One is under way already, or begins when a snapshot is done: that is as good.
            if "in progress" not in str(error):
                raise

    async def _edit(self, script: Script, round_id: str, *args: str | bytes) -> Edited:
        names = (keys.round_key(round_id), keys.log_key(round_id))
        return await self._edit_keys(script, round_id, names, round_id, *args)

    async def _edit_keys(self, script: Script, round_id: str, names: Sequence[str], *args: str | bytes) -> Edited:
        (now_ms, word, *pairs), others = await self._editing.call_and(script, names, args, self._sure.waits())
        outcome = EditOutcome(word.decode())
        self._sure.edit(outcome, others)
        return Edited(outcome, now_ms, *_round_or_stub(round_or_damage(round_id, read_pairs(pairs))))

    async def _indexed(self, edited: Edited) -> Edited:
        if edited.round is not None:
            await self._index.settle(edited.round, edited.now_ms)
        elif edited.archived is not None:
            # A creation has put its name back.
            await self._index.remove(edited.archived.id)
        return edited


def _script_calls(
    url: str, connections: int, timeout_seconds: float, trusted_seconds: float = TRUSTED_SECONDS
) -> ScriptCalls:
    return ScriptCalls(_pool(url, connections, None), connections, timeout_seconds, IdleConnections(trusted_seconds))


def _pool(url: str, max_connections: int, timeout_seconds: float | None) -> CheckedPool:
    return CheckedPool.from_url(
        url,
        **({} if url.startswith("unix://") else TCP_OPTIONS),
        max_connections=max_connections,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        client_name="claimd",
        # It tells the server the library's name and version: two more questions for each connection, which a user with
        # no more rights than it needs is denied, and the server's access log fills up.
        driver_info=None,
    )


def _round_or_stub(found: Round | Archived | StoreDamaged | None) -> tuple[Round | None, Archived | None]:
    """What was read, as the end of a Reading or of an Edited. Raises StoreDamaged."""
    if isinstance(found, StoreDamaged):
        raise found
    return (None, found) if isinstance(found, Archived) else (found, None)


async def _awaited(reply: Awaitable[Any] | Any) -> Any:
    """The library types one method for its synchronous and its asynchronous client alike."""
    return await reply


def _read_decisions(reply: list[Any], count: int) -> list[Decision]:
    now_ms, refusal_word, opens_at_ms = islice(reply, 3)
    refusal = Decision(Outcome(refusal_word.decode()), now_ms=now_ms, opens_at_ms=opens_at_ms)
    if refusal.outcome in (Outcome.ROUND_NOT_FOUND, Outcome.ARCHIVED):
        return [refusal] * count
    if len(reply) != count + 3:
        raise StoreUnavailable(f"claim.lua answered {len(reply) - 3} claims of {count}")
    granted = Outcome.GRANTED
    return [
        (Decision(granted, item, now_ms, now_ms) if item else refusal) if type(item) is int else _replayed(item, now_ms)
        for item in islice(reply, 3, None)
    ]


def _replayed(value: bytes, now_ms: int) -> Decision:
    serial, _, claimed_at_ms = value.partition(b":")
    return Decision(Outcome.REPLAYED, int(serial), int(claimed_at_ms), now_ms)


def _replies(replies: list[Any]) -> list[Any]:
    """The replies, none of them an error; raises the first as the server said it.

    What the library itself raises quotes the command, and with it an identity, into the log.
    """
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _texts(flat: list[bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in read_pairs(flat).items()}


def _version_text(version: int | None) -> str:
    return "" if version is None else str(version)


def _logged(fields: Mapping[str, str | bytes]) -> Iterator[str | bytes]:
    """The fields as one JSON object for the log, then name, value, name, value … as they are stored."""
    yield orjson.dumps({name: value.decode() if isinstance(value, bytes) else value for name, value in fields.items()})
    for pair in fields.items():
        yield from pair


def _read_claim(round_id: str, value: bytes) -> Claim:
    serial, _, claimed_at_ms = value.partition(b":")
    return Claim(round_id, int(serial), int(claimed_at_ms))


def _read_grants(fields: Mapping[bytes, bytes]) -> LogEntry:
    return GrantsEntry(int(fields[b"first"]), int(fields[b"at_ms"]), fields[b"identities"])


def _read_edit(fields: Mapping[bytes, bytes]) -> LogEntry:
    logged = orjson.loads(fields[b"fields"])
    return EditEntry(
        version=int(fields[b"version"]),
        at_ms=int(fields[b"at_ms"]),
        reason=fields[b"reason"].decode(),
        fields=logged,
        # Entries of the first version have neither.
        action=fields.get(b"action", b"").decode(),
        who=fields.get(b"who", ADMIN.encode()).decode(),
    )


_ENTRY_READERS: dict[bytes, Callable[[Mapping[bytes, bytes]], LogEntry]] = {
    b"grants": _read_grants,
    b"edit": _read_edit,
}


def _read_entry(round_id: str, fields: Mapping[bytes, bytes]) -> LogEntry | None:
    """The entry, or None for one of another round that shares the log."""
    kind, about = next(iter(fields.items()))
    return _ENTRY_READERS[kind](fields) if about == round_id.encode() else None
