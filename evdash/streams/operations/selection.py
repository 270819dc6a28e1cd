"""Which pending entries of a group an operation is for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import redis

from evdash.events.entry_id import EntryId
from evdash.streams.groups import GroupMissing
from evdash.streams.operations.outcomes import OperationRefused, entries_in_words
from evdash.streams.pending import PendingEntry, pending_entries, pending_of

# One operation handles so many entries at most; the preview says when there are more.
ENTRIES_MAX = 10_000
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Selected:
    """The pending entries in stream order, the asked ones that are not among them, and whether there are more."""

    entries: tuple[PendingEntry, ...]
    missing: tuple[EntryId, ...]
    more: bool

    def in_words(self) -> str:
        """As words: "12 pending entries (a: 8, b: 4)"."""
        by_consumer = Counter(entry.consumer for entry in self.entries)
        of = ", ".join(f"{name}: {number:,}" for name, number in sorted(by_consumer.items()))
        first = "the first " if self.more else ""
        return f"{first}{entries_in_words(len(self.entries), 'pending')}{f' ({of})' if of else ''}"


@dataclass(frozen=True, slots=True)
class Selection:
    """By their IDs, of one consumer, idle for that long or longer; what is given must hold together."""

    entry_ids: tuple[EntryId, ...] = ()
    from_consumer: str | None = None
    idle_over_ms: int | None = None
    not_of: str | None = None  # this consumer's are left out

    def find(self, client: redis.Redis, stream: str, group: str) -> Selected:
        """The entries as they are now. Raises OperationRefused when nothing was chosen, found, or the group is gone."""
        if not self.entry_ids and self.from_consumer is None and self.idle_over_ms is None:
            raise OperationRefused("Say which entries: by their IDs, of which consumer, or idle for how long.")
        if len(self.entry_ids) > ENTRIES_MAX:
            raise OperationRefused(f"At most {ENTRIES_MAX:,} entries at a time, not {len(self.entry_ids):,}.")
        try:
            selected = self._by_id(client, stream, group) if self.entry_ids else self._listed(client, stream, group)
        except GroupMissing as missing:
            raise OperationRefused(str(missing)) from missing
        if not selected.entries:
            raise OperationRefused(f"No pending entry of {group} on {stream} is {self._in_words()}: nothing to do.")
        return selected

    def _by_id(self, client: redis.Redis, stream: str, group: str) -> Selected:
        asked = sorted(set(self.entry_ids))
        pending = pending_of(client, stream, group, asked)
        entries = tuple(pending[one] for one in asked if one in pending and self._holds(pending[one]))
        found = {entry.entry_id for entry in entries}
        return Selected(entries, tuple(one for one in asked if one not in found), more=False)

    def _listed(self, client: redis.Redis, stream: str, group: str) -> Selected:
        found: list[PendingEntry] = []
        after: EntryId | None = None
        while len(found) <= ENTRIES_MAX:
            page = pending_entries(
                client,
                stream,
                group,
                after=after,
                idle_over_ms=self.idle_over_ms or 0,
                consumer=self.from_consumer,
                count=PAGE,
            )
            found += [entry for entry in page if self._holds(entry)]
            if len(page) < PAGE:
                break
            after = page[-1].entry_id
        return Selected(tuple(found[:ENTRIES_MAX]), (), more=len(found) > ENTRIES_MAX)

    def _holds(self, entry: PendingEntry) -> bool:
        return (
            (self.from_consumer is None or entry.consumer == self.from_consumer)
            and entry.consumer != self.not_of
            and entry.idle_ms >= (self.idle_over_ms or 0)
        )

    def _in_words(self) -> str:
        words = []
        if self.entry_ids:
            words.append("among those named")
        if self.from_consumer is not None:
            words.append(f"{self.from_consumer}'s")
        if self.idle_over_ms is not None:
            words.append(f"idle for {self.idle_over_ms:,} ms or longer")
        if self.not_of is not None:
            words.append(f"not {self.not_of}'s")
        return " and ".join(words)
