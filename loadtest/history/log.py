"""Reads a round's log raw from the server's stream, without claimd's reader: a bug of that one cannot hide itself.

The only part of the checker that connects to a server. From claimd it takes the name of the key and the entry types.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from claimd.domain.claims import IDENTITY_BYTES, VoidedClaim
from claimd.domain.log import EditEntry, GrantsEntry, LogEntry, VoidEntry
from claimd.store.redis.keys import Partition, log_key

if TYPE_CHECKING:
    from redis import Redis

# Entries for each call. An entry has up to 512 identities, about 8 KB.
_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Log:
    """The entries of one round in order; fields of an edit are strings, as stored. `malformed` entries are left out."""

    entries: tuple[LogEntry, ...]
    malformed: int = 0


def read_log(client: "Redis", round_id: str) -> Log:
    """Read the whole log, 200 entries at a time. `client` must return bytes. Raises what the client raises."""
    entries, malformed = [], 0
    for fields in _pages(client, log_key(Partition.of_round(round_id))):
        kind, about = next(iter(fields.items()))
        if about != round_id.encode():
            continue  # Rounds that share limits will share one log.
        try:
            entries.append(_READERS[kind](fields))
        except (KeyError, ValueError, TypeError):
            malformed += 1
    return Log(tuple(entries), malformed)


def _pages(client: "Redis", key: str) -> Iterator[Mapping[bytes, bytes]]:
    start: bytes = b"-"
    while True:
        page: Any = client.xrange(key, min=start, count=_PAGE)
        for _, fields in page:
            yield fields
        if len(page) < _PAGE:
            return
        start = b"(" + page[-1][0]


def _read_grants(fields: Mapping[bytes, bytes]) -> LogEntry:
    identities = fields[b"identities"]
    if not identities or len(identities) % IDENTITY_BYTES:
        raise ValueError
    return GrantsEntry(int(fields[b"first"]), int(fields[b"at_ms"]), identities)


def _read_edit(fields: Mapping[bytes, bytes]) -> LogEntry:
    changed = orjson.loads(fields[b"fields"])
    if not isinstance(changed, dict):
        raise TypeError
    return EditEntry(
        int(fields[b"version"]),
        int(fields[b"at_ms"]),
        fields[b"reason"].decode(),
        changed,
        fields.get(b"action", b"").decode(),
        fields.get(b"who", b"admin").decode(),
    )


def _read_void(fields: Mapping[bytes, bytes]) -> LogEntry:
    claim = fields[b"claim"]
    claimed_at_ms, voided_at_ms, barred = claim[IDENTITY_BYTES:].split(b":")
    return VoidEntry(
        VoidedClaim(
            int(fields[b"serial"]),
            claim[:IDENTITY_BYTES],
            int(claimed_at_ms),
            int(voided_at_ms),
            bool(int(barred)),
        ),
        int(fields[b"version"]),
        fields[b"reason"].decode(),
        fields[b"who"].decode(),
    )


_READERS: Final[Mapping[bytes, Callable[[Mapping[bytes, bytes]], LogEntry]]] = {
    b"grants": _read_grants,
    b"edit": _read_edit,
    b"void": _read_void,
}
