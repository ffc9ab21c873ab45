"""Rounds in Redis or Valkey: every change is one script call, every reading comes from the server.

The index of rounds (`round_index.py`) lies in other keys than the rounds, so it is written before or after the script.
"""

from collections.abc import Collection, Sequence
from typing import Any

from claimd.domain.archived import Archived
from claimd.domain.log import ADMIN, EditAction
from claimd.domain.outcomes import EditOutcome
from claimd.domain.rounds import MAX_TOTAL, Definition, Round, Status
from claimd.store.errors import StoreDamaged
from claimd.store.fields import definition_fields, field_texts
from claimd.store.ports import Edited, Position, Reading, RecentRounds, RoundsPage
from claimd.store.redis import keys
from claimd.store.redis.acknowledgement import Acknowledgement
from claimd.store.redis.codec import edit_arguments, read_pairs, version_text
from claimd.store.redis.damage import round_or_damage
from claimd.store.redis.errors import translated_errors
from claimd.store.redis.installation_record import InstallationRecord
from claimd.store.redis.pools import Pools
from claimd.store.redis.replies import time_ms, without_errors
from claimd.store.redis.round_index import RoundIndex
from claimd.store.redis.scripts import Script, load_script

_INDEXED_FIELDS = frozenset({"opens_at_ms", "closes_at_ms", "closed"})


class RedisRounds:
    """Implements `RoundStore`."""

    def __init__(self, pools: Pools, acknowledgement: Acknowledgement, installation: InstallationRecord) -> None:
        self._pools = pools
        self._acknowledgement = acknowledgement
        self._installation = installation
        self._index = RoundIndex(pools.reads)
        self._create_script = load_script("round_create")
        self._edit_script = load_script("round_edit")
        self._delete_script = load_script("round_delete")
        self._archive_script = load_script("round_archive")

    async def round(self, round_id: str) -> Reading:
        """See `RoundReader.round`."""
        (reading,) = await self.readings([round_id])
        if isinstance(reading, StoreDamaged):
            raise reading
        return reading

    async def readings(self, round_ids: Sequence[str]) -> list[Reading | StoreDamaged]:
        """See `RoundReader.readings`."""
        if not self._installation.agreed:
            await self._installation.agree()
        with translated_errors():
            pipeline = self._pools.reads.pipeline(transaction=False)
            # The time first: a status derived from it is never ahead of what was read.
            pipeline.time()
            for round_id in round_ids:
                pipeline.hgetall(keys.of_round(round_id).round)
            time_reply, *replies = await pipeline.execute(raise_on_error=False)
            (time_reply,) = without_errors([time_reply])
            now_ms = time_ms(time_reply)
            found = [round_or_damage(round_id, reply) for round_id, reply in zip(round_ids, replies, strict=True)]
        return [each if isinstance(each, StoreDamaged) else Reading(now_ms, *_round_or_stub(each)) for each in found]

    async def rounds_page(self, statuses: Collection[Status], after: Position | None, limit: int) -> RoundsPage:
        """See `RoundReader.rounds_page`. A round that cannot be read is left out, and logged once."""
        return await self._index.page(statuses, after, limit)

    async def recent_rounds(self, over_for_ms: int, limit: int) -> RecentRounds:
        """See `RoundReader.recent_rounds`."""
        return await self._index.recent(over_for_ms, limit)

    async def round_create(self, definition: Definition, reason: str, who: str = ADMIN) -> Edited:
        """See `RoundStore.round_create`."""
        await self._index.prepare_creation(definition)
        fields = edit_arguments(definition_fields(definition))
        return await self._indexed(
            await self._edit(self._create_script, definition.id, EditAction.CREATE, who, reason, *fields)
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
        """See `RoundStore.round_edit`."""
        await self._index.prepare_edit(round_id, changes)
        absolute = {name: value for name, value in changes.items() if name != "total_change"}
        total_change, max_total = str(changes.get("total_change", 0)), str(MAX_TOTAL)
        edited = await self._edit(
            self._edit_script,
            round_id,
            action,
            who,
            reason,
            version_text(if_version),
            total_change,
            max_total,
            *edit_arguments(field_texts(absolute)),
        )
        return await self._indexed(edited) if changes.keys() & _INDEXED_FIELDS else edited

    async def round_delete(
        self, round_id: str, reason: str, *, who: str = ADMIN, if_version: int | None = None
    ) -> Edited:
        """See `RoundStore.round_delete`."""
        edited = await self._edit(
            self._delete_script, round_id, EditAction.DELETE, who, reason, version_text(if_version)
        )
        if edited.outcome is EditOutcome.DONE:
            # After the round itself: a name without a round is passed over.
            await self._index.remove(round_id)
        return edited

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
        names = keys.of_round(round_id)
        edited = await self._edit_keys(
            self._archive_script, round_id, names, str(version), str(issued), str(voided), sha256, file, who, reason
        )
        if edited.outcome is EditOutcome.DONE:
            # After the round itself: the name of an archived round is passed over.
            await self._index.remove(round_id)
        return edited

    async def _edit(self, script: Script, round_id: str, *args: str | bytes) -> Edited:
        names = keys.of_round(round_id)
        return await self._edit_keys(script, round_id, (names.round, names.log), round_id, *args)

    async def _edit_keys(self, script: Script, round_id: str, names: Sequence[str], *args: str | bytes) -> Edited:
        commands = self._acknowledgement.confirmation_commands()
        reply, replies = await self._pools.edit_calls.call_with_followups(script, names, args, commands)
        now_ms, word, *pairs = reply
        outcome = EditOutcome(word.decode())
        self._acknowledgement.require_confirmed_edit(outcome, replies)
        return Edited(outcome, now_ms, *_round_or_stub(round_or_damage(round_id, read_pairs(pairs))))

    async def _indexed(self, edited: Edited) -> Edited:
        """The same, after the index has what the round is now."""
        if edited.round is not None:
            await self._index.settle(edited.round, edited.now_ms)
        elif edited.archived is not None:
            # A creation has put its name back.
            await self._index.remove(edited.archived.id)
        return edited


def _round_or_stub(found: Round | Archived | StoreDamaged | None) -> tuple[Round | None, Archived | None]:
    """The last two members of a Reading or an Edited. Raises StoreDamaged."""
    if isinstance(found, StoreDamaged):
        raise found
    return (None, found) if isinstance(found, Archived) else (found, None)
