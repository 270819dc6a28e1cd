"""Duplicates: events that a producer wrote again because it received no answer.

evdash keeps both entries. The entry with the lowest ID counts. The others are duplicates and count nothing. Entries may
arrive in any order. The final counts do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event


@dataclass(frozen=True, slots=True)
class Counted:
    """The entry that counts so far, among those of one identity."""

    entry_id: EntryId
    occurred_us: int


class CountChange(NamedTuple):
    """Effect of an event on counters: +1, 0 (duplicate) or -1 (counted earlier, now a duplicate).

    Some values are not sums: first and last entry, and participants. Every event updates these, whatever it counts.
    """

    event: Event
    identity: bytes | None = None
    counts: int = 1  # 1; 0: a duplicate; -1: counted earlier, now the duplicate of an entry with a lower ID
    is_new: bool = True  # False: the event was applied before

    @property
    def is_duplicate(self) -> bool:
        return self.counts < 1


def changes(events: Sequence[Event], counted: Mapping[bytes, Counted]) -> list[CountChange]:
    """Return the changes of these events, given the entries `counted` for their identities so far.

    Each event must be new and occur once.
    """
    count_changes: list[CountChange] = []
    by_identity: dict[bytes, list[Event]] = {}
    for event in events:
        if event.identity is None:
            count_changes.append(CountChange(event))
        else:
            by_identity.setdefault(event.identity, []).append(event)
    for key, equal_events in by_identity.items():
        first, *duplicates = sorted(equal_events, key=_place) if len(equal_events) > 1 else equal_events
        before = counted.get(key)
        is_first = before is None or first.entry_id < before.entry_id
        count_changes.append(CountChange(first, key, counts=int(is_first)))
        count_changes.extend(CountChange(event, key, counts=0) for event in duplicates)
        if before is not None and is_first:
            count_changes.append(CountChange(_event_counted(first, before), key, counts=-1, is_new=False))
    return count_changes


def _place(event: Event) -> EntryId:
    return event.entry_id


def _event_counted(duplicate: Event, counted: Counted) -> Event:
    """Return the event counted so far, built from its duplicate. Only entry ID and time differ."""
    entry = Entry(duplicate.stream, counted.entry_id, duplicate.entry.pairs)
    return decode(entry, duplicate.profile)._replace(occurred_us=counted.occurred_us)
