"""The listeners of a round in small groups: a group is what is written to in one event-loop iteration."""

from collections.abc import Iterator
from typing import Final

from claimd.contract.limits import EVENT_SECONDS
from claimd.gateway.events.encoding import RoundEvent
from claimd.gateway.events.listener import Listener

# To write to one takes 15 to 25 µs, nearly all of it in the kernel: claims in the same process wait for a quarter
# of a millisecond.
GROUP_LISTENERS: Final = 10


class Group:
    """Up to `GROUP_LISTENERS` listeners; written to at most once in `EVENT_SECONDS`. Times are those of the loop."""

    __slots__ = ("_behind", "_comment_seconds", "_tag", "comment_at", "listeners", "next_at")

    def __init__(self, tag: str, now: float, comment_seconds: float) -> None:
        """`tag` is that of the event with which its listeners begin."""
        self.listeners: set[Listener] = set()
        self._tag = tag
        # Whether some listener does not have the event of that tag.
        self._behind = False
        self._comment_seconds = comment_seconds
        self.comment_at = now + comment_seconds
        self.next_at = now

    def wants(self, event: RoundEvent, now: float) -> bool:
        """Whether some listener needs the event, or a comment is due."""
        return self._behind or self._tag != event.tag or now >= self.comment_at

    def write(self, event: RoundEvent, now: float) -> bool:
        """Write to each listener what it can take. Return False where some could not take the event."""
        self.next_at = now + EVENT_SECONDS
        taken = [listener.offer(event, now) for listener in self.listeners]
        if now >= self.comment_at:
            self.comment_at = now + self._comment_seconds
            for listener in self.listeners:
                listener.comment()
        self._tag, self._behind = event.tag, not all(taken)
        return not self._behind


class Groups:
    """All listeners of a round."""

    def __init__(self, comment_seconds: float) -> None:
        self._comment_seconds = comment_seconds
        self._groups: list[Group] = []

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[Group]:
        """The groups that there are now: some may be empty when their turn comes."""
        return iter(tuple(self._groups))

    def add(self, listener: Listener, event: RoundEvent, now: float) -> Group:
        """Begin the stream of a listener with the event, which is the newest; its group."""
        group = next((group for group in self._groups if len(group.listeners) < GROUP_LISTENERS), None)
        if group is None:
            group = Group(event.tag, now, self._comment_seconds)
            self._groups.append(group)
        group.listeners.add(listener)
        listener.begin(event, now)
        return group

    def remove(self, group: Group, listener: Listener) -> None:
        """Forget a listener, and its group with the last one."""
        group.listeners.discard(listener)
        if not group.listeners:
            self._groups.remove(group)

    def next_comment_at(self, now: float) -> float:
        """When the first comment is due; `now` where there is no group."""
        return min((group.comment_at for group in self._groups), default=now)
