"""The model of the store: what the Lua scripts must do, in plain Python. The tests' oracle; it never serves."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from claimd.domain.claims import Claim
from claimd.domain.log import EditEntry, GrantsEntry, LogEntry
from claimd.domain.outcomes import Decision, EditOutcome, Outcome
from claimd.domain.rounds import Definition, Round, Status
from claimd.store.fields import definition_fields, spelled
from claimd.store.protocol import Edited, Held, Reading

_REFUSALS = {
    Status.SCHEDULED: Outcome.NOT_OPEN,
    Status.PAUSED: Outcome.PAUSED,
    Status.SOLD_OUT: Outcome.SOLD_OUT,
    Status.CLOSED: Outcome.CLOSED,
}


@dataclass(slots=True)
class _State:
    round: Round
    claims: dict[bytes, Claim] = field(default_factory=dict)
    log: list[LogEntry] = field(default_factory=list)


class MemoryStore:
    """Implements `Store` in memory, on the clock it is given (milliseconds since 1970)."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._states: dict[str, _State] = {}

    async def claim(self, round_id: str, identities: Sequence[bytes]) -> list[Decision]:
        """See `Store.claim`."""
        now_ms = self._clock()
        state = self._states.get(round_id)
        if state is None:
            return [Decision(Outcome.ROUND_NOT_FOUND, now_ms=now_ms)] * len(identities)
        now_ms = max(now_ms, state.round.last_grant_ms)
        granted: list[bytes] = []
        first = state.round.issued + 1
        decisions = [self._decide(state, identity, now_ms, granted) for identity in identities]
        if granted:
            state.log.append(GrantsEntry(first, now_ms, b"".join(granted)))
        return decisions

    async def round_create(self, definition: Definition, reason: str) -> Edited:
        """See `Store.round_create`."""
        now_ms = self._clock()
        if definition.id in self._states:
            return Edited(EditOutcome.ROUND_EXISTS, now_ms, self._states[definition.id].round)
        state = self._states[definition.id] = _State(Round(definition))
        state.log.append(EditEntry(1, now_ms, reason, _logged(definition_fields(definition))))
        return Edited(EditOutcome.DONE, now_ms, state.round)

    async def round_edit(self, round_id: str, changes: dict[str, Any], reason: str) -> Edited:
        """See `Store.round_edit`."""
        now_ms = self._clock()
        state = self._states.get(round_id)
        if state is None:
            return Edited(EditOutcome.ROUND_NOT_FOUND, now_ms, None)
        now_ms = max(now_ms, state.round.last_grant_ms)
        flags = {name: bool(value) for name, value in changes.items() if name in ("paused", "closed")}
        defined = {name: value for name, value in changes.items() if name not in flags}
        definition = replace(state.round.definition, **defined)
        if definition.total < state.round.issued:
            return Edited(EditOutcome.TOTAL_BELOW_ISSUED, now_ms, state.round)
        if definition.closes_at_ms <= definition.opens_at_ms:
            return Edited(EditOutcome.INVALID_WINDOW, now_ms, state.round)
        version = state.round.version + 1
        state.round = replace(state.round, definition=definition, version=version, **flags)
        state.log.append(EditEntry(version, now_ms, reason, _logged(spelled(changes))))
        return Edited(EditOutcome.DONE, now_ms, state.round)

    async def round(self, round_id: str) -> Reading:
        """See `Store.round`."""
        state = self._states.get(round_id)
        return Reading(self._clock(), state.round if state else None)

    async def rounds(self) -> tuple[int, list[Round]]:
        """See `Store.rounds`."""
        found = [state.round for state in self._states.values()]
        return self._clock(), sorted(found, key=lambda item: (item.definition.opens_at_ms, item.id))

    async def held(self, round_id: str, identity: bytes) -> Held:
        """See `Store.held`."""
        state = self._states.get(round_id)
        return Held(state is not None, state.claims.get(identity) if state else None)

    async def log(self, round_id: str) -> AsyncIterator[LogEntry]:
        """See `Store.log`."""
        state = self._states.get(round_id)
        for entry in list(state.log) if state else []:
            yield entry

    async def claims(self, round_id: str) -> AsyncIterator[tuple[bytes, Claim]]:
        """See `Store.claims`."""
        state = self._states.get(round_id)
        for item in list(state.claims.items()) if state else []:
            yield item

    async def ping(self) -> None:
        """See `Store.ping`."""

    def _decide(self, state: _State, identity: bytes, now_ms: int, granted: list[bytes]) -> Decision:
        held = state.claims.get(identity)
        if held is not None:
            return Decision(Outcome.REPLAYED, held.serial, held.claimed_at_ms, now_ms)
        status = state.round.status(now_ms)
        if status is not Status.OPEN:
            return Decision(_REFUSALS[status], now_ms=now_ms, opens_at_ms=state.round.definition.opens_at_ms)
        serial = state.round.issued + 1
        state.round = replace(state.round, issued=serial, last_grant_ms=now_ms)
        state.claims[identity] = Claim(state.round.id, serial, now_ms)
        granted.append(identity)
        return Decision(Outcome.GRANTED, serial, now_ms, now_ms)


def _logged(fields: dict[str, str | bytes]) -> dict[str, str]:
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in fields.items()}
