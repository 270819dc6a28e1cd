"""Events that stand in a stream more than once, because a producer wrote them again when it got no answer.

Both entries are kept. The one with the lowest entry ID counts, the others are duplicates and count nothing. Entries
may arrive in any order; what is counted in the end does not depend on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evdash.events.decoding import DEFAULT_PROFILE, decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event

_TIMESTAMPS = frozenset(name.encode() for name in DEFAULT_PROFILE.timestamp)


@dataclass(frozen=True, slots=True)
class Counted:
    """The entry that counts so far, of those of one identity."""

    entry_id: EntryId
    occurred_us: int


@dataclass(frozen=True, slots=True)
class Change:
    """What an event adds to sums: itself, nothing, or the taking back of what it once added.

    What is no sum (first and last entry, who took part) is said by every event, whatever it counts.
    """

    event: Event
    identity: bytes | None = None
    counts: int = 1  # 1; 0: a duplicate; -1: counted so far, and now the duplicate of an earlier entry
    is_new: bool = True  # False: the event itself was told before

    @property
    def is_duplicate(self) -> bool:
        return self.counts < 1


def identity(event: Event) -> bytes | None:
    """16 bytes that two entries share if and only if one is a duplicate of the other; None without a producer's ID.

    Duplicates are of one stream and have the same producer's ID and the same fields, the time left aside: some
    producers stamp it at every attempt. The order of differently named fields is not told apart, since producers that
    write a map (Go's) may order it anew. An ID alone is not enough: some producers number events within a session,
    or give the parts of one answer the same ID.
    """
    if not event.event_id:
        return None
    pairs = [pair for pair in event.entry.pairs if pair[0] not in _TIMESTAMPS]
    parts = (event.stream.encode(), *(part for pair in sorted(pairs, key=_name) for part in pair))
    told = b"".join([len(part).to_bytes(8, "big") + part for part in parts])
    return hashlib.blake2b(told, digest_size=16).digest()


def _name(pair: tuple[bytes, bytes]) -> bytes:
    return pair[0]


def changes(
    events: Sequence[Event], counted: Mapping[bytes, Counted], identities: Sequence[bytes | None] | None = None
) -> list[Change]:
    """What these events, each new and given once, change, with what is `counted` of their identities so far.

    `identities`: theirs, where the caller has worked them out already.
    """
    found: list[Change] = []
    alike: dict[bytes, list[Event]] = {}
    for event, key in zip(events, identities or map(identity, events), strict=True):
        if key is None:
            found.append(Change(event))
        else:
            alike.setdefault(key, []).append(event)
    for key, same in alike.items():
        first, *others = sorted(same, key=_place) if len(same) > 1 else same
        before = counted.get(key)
        is_first = before is None or first.entry_id < before.entry_id
        found.append(Change(first, key, counts=int(is_first)))
        found.extend(Change(event, key, counts=0) for event in others)
        if before is not None and is_first:
            found.append(Change(_event_counted(first, before), key, counts=-1, is_new=False))
    return found


def _place(event: Event) -> EntryId:
    return event.entry_id


def _event_counted(duplicate: Event, counted: Counted) -> Event:
    """The event counted so far, made from its duplicate: they differ in nothing else."""
    entry = Entry(duplicate.stream, counted.entry_id, duplicate.entry.pairs)
    return replace(decode(entry), occurred_us=counted.occurred_us)
