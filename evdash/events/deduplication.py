"""Duplicates: events that a producer wrote again because it received no answer.

evdash keeps both entries. The entry with the lowest ID counts. The others are duplicates and count nothing. Entries may
arrive in any order. The final counts do not depend on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import itemgetter

from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event

_NAME = itemgetter(0)
_LENGTHS = [length.to_bytes(8, "big") for length in range(256)]


@dataclass(frozen=True, slots=True)
class Counted:
    """The entry that counts so far, among those of one identity."""

    entry_id: EntryId
    occurred_us: int


@dataclass(frozen=True, slots=True)
class CountChange:
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


def identity(event: Event) -> bytes | None:
    """Return 16 bytes, equal for two entries if and only if they are duplicates; None without a producer's ID.

    Duplicates share the stream, the producer's ID and all fields except timestamps. Some producers set the timestamp at
    every attempt. The order of differently named fields is ignored, because producers that write a map (Go's) may
    change it. An equal ID alone is not enough. Some producers number events within a session, or give the parts of one
    answer the same ID.
    """
    if not event.event_id:
        return None
    timestamps = event.profile.raw_timestamps
    pairs = sorted([pair for pair in event.entry.pairs if pair[0] not in timestamps], key=_NAME)
    parts = [event.stream.encode(), *chain.from_iterable(pairs)]
    encoded = b"".join([(_LENGTHS[n] if (n := len(part)) < 256 else n.to_bytes(8, "big")) + part for part in parts])
    return hashlib.blake2b(encoded, digest_size=16).digest()


def changes(
    events: Sequence[Event], counted: Mapping[bytes, Counted], identities: Sequence[bytes | None] | None = None
) -> list[CountChange]:
    """Return the changes of these events, given the entries `counted` for their identities so far.

    Each event must be new and occur once. `identities`: the identities of the events, if the caller has them already.
    """
    count_changes: list[CountChange] = []
    by_identity: dict[bytes, list[Event]] = {}
    for event, key in zip(events, identities or map(identity, events), strict=True):
        if key is None:
            count_changes.append(CountChange(event))
        else:
            by_identity.setdefault(key, []).append(event)
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
    return replace(decode(entry, duplicate.profile), occurred_us=counted.occurred_us)
