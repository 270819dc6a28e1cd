"""One decoding of an entry for all projections of a process: each of them reads every entry for its own group."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event

MAX_EVENTS: Final = 2_000
MAX_BYTES: Final = 1024 * 1024
"""Bounds of the events kept, the second in bytes of raw pairs: decoded JSON needs up to 25 times as much memory.

They cover groups that keep pace. A group that lags further behind, or shares its entries with another process, decodes
them itself.
"""


@dataclass(slots=True)
class _SharedEvent:
    event: Event
    size_bytes: int
    uses_left: int


class SharedDecoding:
    """Keeps the newest events until every projection has taken them, within the bounds; safe for several threads."""

    def __init__(self, projections: int, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        """Set up the decoding for this number of projections."""
        self._uses = projections
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, EntryId], _SharedEvent] = {}
        self._size_bytes = 0

    @property
    def size_bytes(self) -> int:
        """The size of the raw pairs of all events kept."""
        return self._size_bytes

    def decode(self, entry: Entry) -> Event:
        """Return the event of the entry, as `decode` does. Entries with other pairs under the same ID never mix."""
        if self._uses < 2:
            return decode(entry)
        key = (entry.stream, entry.entry_id)
        with self._lock:
            shared = self._taken(key, entry)
        if shared is not None:
            return shared
        event = decode(entry)
        size_bytes = sum(len(name) + len(value) for name, value in entry.pairs)
        if size_bytes > self._max_bytes:
            return event
        with self._lock:
            shared = self._taken(key, entry)  # another thread may have decoded it meanwhile
            if shared is not None:
                return shared
            self._drop(key)
            self._kept[key] = _SharedEvent(event, size_bytes, self._uses - 1)
            self._size_bytes += size_bytes
            while self._size_bytes > self._max_bytes or len(self._kept) > self._max_events:
                self._drop(next(iter(self._kept)))
        return event

    def _taken(self, key: tuple[str, EntryId], entry: Entry) -> Event | None:
        kept = self._kept.get(key)
        if kept is None or kept.event.entry.pairs != entry.pairs:
            return None
        kept.uses_left -= 1
        if not kept.uses_left:
            self._drop(key)
        return kept.event

    def _drop(self, key: tuple[str, EntryId]) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size_bytes -= kept.size_bytes
