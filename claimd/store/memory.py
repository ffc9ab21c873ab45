"""The model of the store: what the Lua scripts do, in plain Python. It is the oracle of the tests, and never serves."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from claimd.domain.archived import Archived
from claimd.domain.claims import Claim, VoidedClaim
from claimd.domain.log import ADMIN, EditAction, EditEntry, GrantsEntry, LogEntry, VoidEntry
from claimd.domain.outcomes import Decision, EditOutcome, Outcome
from claimd.domain.rounds import FIRST_EPOCH, MAX_TOTAL, Definition, Round, Status
from claimd.store.errors import StoreDamaged
from claimd.store.fields import definition_fields, field_texts
from claimd.store.ports import Edited, Position, Reading, RecentRounds, RoundsPage, Voiding


@dataclass(slots=True)
class _State:
    round: Round
    deleted: bool = False
    archived: Archived | None = None
    claims: dict[bytes, Claim] = field(default_factory=dict)
    voids: dict[int, VoidedClaim] = field(default_factory=dict)
    barred: set[bytes] = field(default_factory=set)
    log: list[LogEntry] = field(default_factory=list)


class MemoryStore:
    """Implements the ports that decide, read and void claims, and `Readiness`. `clock` gives ms since 1970."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._states: dict[str, _State] = {}

    async def claim(self, round_id: str, identities: Sequence[bytes], epoch: int = FIRST_EPOCH) -> list[Decision]:
        """See `ClaimStore.claim`."""
        now_ms = self._clock()
        state = self._state(round_id)
        if state is None:
            return [Decision(Outcome.ROUND_NOT_FOUND, now_ms=now_ms)] * len(identities)
        if state.archived:
            return [Decision(Outcome.ARCHIVED, now_ms=now_ms)] * len(identities)
        granted: list[bytes] = []
        first = state.round.issued + 1
        claimed_at_ms = max(now_ms, state.round.last_grant_ms)
        decisions = [self._decide(state, identity, epoch, now_ms, granted) for identity in identities]
        if granted:
            state.log.append(GrantsEntry(first, claimed_at_ms, b"".join(granted)))
        return decisions

    async def round_create(self, definition: Definition, reason: str, who: str = ADMIN) -> Edited:
        """See `RoundStore.round_create`."""
        now_ms = self._clock()
        state = self._states.setdefault(definition.id, _State(Round(definition, version=0), deleted=True))
        if not state.deleted:
            return _edited(EditOutcome.ROUND_EXISTS, now_ms, state)
        state.deleted = False
        state.round = Round(definition, version=state.round.version + 1, epoch=state.round.epoch)
        fields = definition_fields(definition)
        state.log.append(EditEntry(state.round.version, now_ms, reason, fields, EditAction.CREATE, who))
        return Edited(EditOutcome.DONE, now_ms, state.round)

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
        """See `RoundStore.round_edit`."""
        now_ms = self._clock()
        state = self._state(round_id)
        if state is None:
            return Edited(EditOutcome.ROUND_NOT_FOUND, now_ms, None)
        if state.archived:
            return _edited(EditOutcome.ARCHIVED, now_ms, state)
        before = state.round
        now_ms = max(now_ms, before.last_grant_ms)
        if if_version not in (None, before.version):
            return Edited(EditOutcome.VERSION_MISMATCH, now_ms, before)
        changes = dict(changes)
        total_change = changes.pop("total_change", 0)
        if total_change:
            changes["total"] = before.definition.total + total_change
            if not 0 <= changes["total"] <= MAX_TOTAL:
                return Edited(EditOutcome.INVALID_TOTAL, now_ms, before)
        flags = {name: bool(value) for name, value in changes.items() if name in ("paused", "closed")}
        defined = {name: value for name, value in changes.items() if name not in flags}
        definition = replace(before.definition, **defined)
        if definition.total < before.held:
            return Edited(EditOutcome.TOTAL_BELOW_ISSUED, now_ms, before)
        if definition.closes_at_ms <= definition.opens_at_ms:
            return Edited(EditOutcome.INVALID_WINDOW, now_ms, before)
        outdates = action is EditAction.REVOKE_PASSES or definition.eligibility != before.definition.eligibility
        lifts = "opens_at_ms" in changes or "closes_at_ms" in changes
        state.round = replace(
            before,
            definition=definition,
            version=before.version + 1,
            epoch=before.epoch + outdates,
            window_lifted_ms=before.last_grant_ms if lifts else before.window_lifted_ms,
            **flags,
        )
        state.log.append(EditEntry(state.round.version, now_ms, reason, field_texts(changes), action, who))
        return Edited(EditOutcome.DONE, now_ms, state.round)

    async def round_delete(
        self, round_id: str, reason: str, *, who: str = ADMIN, if_version: int | None = None
    ) -> Edited:
        """See `RoundStore.round_delete`."""
        now_ms = self._clock()
        state = self._state(round_id)
        if state is None:
            return Edited(EditOutcome.ROUND_NOT_FOUND, now_ms, None)
        if state.archived:
            return _edited(EditOutcome.ARCHIVED, now_ms, state)
        before = state.round
        if if_version not in (None, before.version):
            return Edited(EditOutcome.VERSION_MISMATCH, now_ms, before)
        if before.issued:
            return Edited(EditOutcome.HAS_CLAIMS, now_ms, before)
        state.deleted = True
        state.round = replace(before, version=before.version + 1, epoch=before.epoch + 1)
        state.log.append(EditEntry(state.round.version, now_ms, reason, {}, EditAction.DELETE, who))
        return Edited(EditOutcome.DONE, now_ms, before)

    async def round_archive(
        self,
        round_id: str,
        *,
        version: int,
        issued: int,
        voided: int,
        sha256: str,
        file: str,
        reason: str,
        who: str = ADMIN,
    ) -> Edited:
        """See `RoundStore.round_archive`."""
        now_ms = self._clock()
        state = self._state(round_id)
        if state is None:
            return Edited(EditOutcome.ROUND_NOT_FOUND, now_ms, None)
        if state.archived:
            return _edited(EditOutcome.DONE, now_ms, state)
        before = state.round
        if (version, issued, voided) != (before.version, before.issued, before.voided):
            return _edited(EditOutcome.VERSION_MISMATCH, now_ms, state)
        if not before.closed and now_ms < before.definition.closes_at_ms:
            return _edited(EditOutcome.NOT_CLOSED, now_ms, state)
        definition = before.definition
        state.archived = Archived(
            round_id, definition.title, definition.total, before.held, version, file, sha256, now_ms, who, reason
        )
        state.claims.clear()
        state.voids.clear()
        state.barred.clear()
        state.log.clear()
        return _edited(EditOutcome.DONE, now_ms, state)

    async def claim_void(self, round_id: str, serial: int, *, bar: bool, reason: str, who: str = ADMIN) -> Voiding:
        """See `ClaimVoider.claim_void`."""
        state, now_ms = self._state(round_id), self._clock()
        if state is None:
            return Voiding(EditOutcome.ROUND_NOT_FOUND, now_ms)
        if state.archived:
            return Voiding(EditOutcome.ARCHIVED, now_ms)
        if serial in state.voids:
            return Voiding(EditOutcome.DONE, now_ms, state.voids[serial])
        identity = next((identity for identity, claim in state.claims.items() if claim.serial == serial), None)
        if identity is None:
            return Voiding(EditOutcome.NO_SUCH_CLAIM, now_ms)
        at_ms = max(now_ms, state.round.last_grant_ms)
        void = VoidedClaim(serial, identity, state.claims.pop(identity).claimed_at_ms, at_ms, bar)
        state.voids[serial] = void
        if bar:
            state.barred.add(identity)
        state.round = replace(state.round, voided=state.round.voided + 1)
        state.log.append(VoidEntry(void, state.round.version, reason, who))
        return Voiding(EditOutcome.DONE, now_ms, void)

    async def round(self, round_id: str) -> Reading:
        """See `RoundReader.round`."""
        state, now_ms = self._state(round_id), self._clock()
        if state is None:
            return Reading(now_ms, None)
        return Reading(now_ms, None if state.archived else state.round, state.archived)

    async def readings(self, round_ids: Sequence[str]) -> list[Reading | StoreDamaged]:
        """See `RoundReader.readings`; no round of a model is damaged."""
        return [await self.round(round_id) for round_id in round_ids]

    async def rounds_page(self, statuses: Collection[Status], after: Position | None, limit: int) -> RoundsPage:
        """See `RoundReader.rounds_page`; every page but the last is full."""
        now_ms = self._clock()
        behind = [
            item
            for item in self._ordered()
            if item.status(now_ms) in statuses and (after is None or _position(item) > after)
        ]
        more = _position(behind[limit - 1]) if len(behind) > limit else None
        return RoundsPage(now_ms, behind[:limit], more)

    async def recent_rounds(self, over_for_ms: int, limit: int) -> RecentRounds:
        """See `RoundReader.recent_rounds`; the log of a round has the time at which it was closed."""
        now_ms = self._clock()
        found = [item for item in self._ordered() if self._over_since_ms(item) > now_ms - over_for_ms]
        found.sort(key=lambda item: item.status(now_ms) is Status.CLOSED)
        return RecentRounds(now_ms, found[:limit], max(0, len(found) - limit))

    async def find_claims(self, round_id: str, identities: Sequence[bytes]) -> list[Decision]:
        """See `ClaimStore.find_claims`."""
        state, now_ms = self._state(round_id), self._clock()
        if state is None:
            return [Decision(Outcome.ROUND_NOT_FOUND, now_ms=now_ms)] * len(identities)
        if state.archived is not None:
            return [Decision(Outcome.ARCHIVED, now_ms=now_ms)] * len(identities)
        found = (state.claims.get(identity) for identity in identities)
        return [
            Decision(Outcome.REPLAYED, claim.serial, claim.claimed_at_ms, now_ms)
            if claim is not None
            else Decision(Outcome.NOT_CLAIMED, now_ms=now_ms)
            for claim in found
        ]

    async def log(self, round_id: str) -> AsyncIterator[LogEntry]:
        """See `LogReader.log`."""
        state = self._states.get(round_id)
        for entry in list(state.log) if state else []:
            yield entry

    async def claims(self, round_id: str) -> AsyncIterator[tuple[bytes, Claim]]:
        """See `LogReader.claims`."""
        state = self._states.get(round_id)
        for item in list(state.claims.items()) if state else []:
            yield item

    async def voids(self, round_id: str) -> AsyncIterator[VoidedClaim]:
        """See `LogReader.voids`."""
        state = self._states.get(round_id)
        for void in list(state.voids.values()) if state else []:
            yield void

    async def ping(self) -> None:
        """See `Readiness.ping`."""

    def _state(self, round_id: str) -> _State | None:
        state = self._states.get(round_id)
        return state if state is not None and not state.deleted else None

    def _ordered(self) -> list[Round]:
        there = (state.round for state in self._states.values() if not (state.deleted or state.archived))
        return sorted(there, key=_position)

    def _over_since_ms(self, item: Round) -> int:
        closes_at_ms = item.definition.closes_at_ms
        if not item.closed:
            return closes_at_ms
        closings: list[int] = []
        for entry in self._states[item.id].log:
            if isinstance(entry, EditEntry) and entry.action is EditAction.CREATE:
                # An earlier round of this id was deleted.
                closings.clear()
            elif isinstance(entry, EditEntry) and entry.fields.get("closed") == "1":
                closings.append(entry.at_ms)
        return min(closes_at_ms, *closings)

    def _decide(self, state: _State, identity: bytes, epoch: int, now_ms: int, granted: list[bytes]) -> Decision:
        claim = state.claims.get(identity)
        if claim is not None:
            return Decision(Outcome.REPLAYED, claim.serial, claim.claimed_at_ms, now_ms)
        if identity in state.barred:
            return Decision(Outcome.BARRED, now_ms=state.round.window_time_ms(now_ms))
        refusal = state.round.refusal(now_ms, epoch)
        if refusal is not None:
            window_ms = state.round.window_time_ms(now_ms)
            opens_at_ms, epoch = state.round.definition.opens_at_ms, state.round.epoch
            return Decision(refusal, now_ms=window_ms, opens_at_ms=opens_at_ms, epoch=epoch)
        now_ms = max(now_ms, state.round.last_grant_ms)
        serial = state.round.issued + 1
        state.round = replace(state.round, issued=serial, last_grant_ms=now_ms)
        state.claims[identity] = Claim(state.round.id, serial, now_ms)
        granted.append(identity)
        return Decision(Outcome.GRANTED, serial, now_ms, now_ms)


def _position(item: Round) -> Position:
    return Position(item.definition.opens_at_ms, item.id)


def _edited(outcome: EditOutcome, now_ms: int, state: _State) -> Edited:
    return Edited(outcome, now_ms, None if state.archived else state.round, state.archived)
