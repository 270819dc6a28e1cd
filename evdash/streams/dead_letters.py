"""The dead-letter stream of a stream: entries that a projection could not apply, each complete and with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import redis

from evdash.events.entry import Entry, EntryId
from evdash.streams import replies
from evdash.streams.client import call
from evdash.streams.reads import read_backward, read_entry, read_forward

# All of these precede the entry's own pairs, in this order. An own field may therefore have the same name.
META_FIELDS = (
    b"parked_stream",
    b"parked_entry_id",
    b"parked_group",
    b"parked_consumer",
    b"parked_deliveries",
    b"parked_reason",
    b"parked_at",
)
# `park` searches this many of the newest dead-lettered entries for the same entry.
LOOK_BACK = 20
READ_STEP = 500


@dataclass(frozen=True, slots=True)
class ParkedEntry:
    """An entry that a group gave up on. `entry` is unchanged and has its ID of the original stream."""

    parked_id: EntryId
    entry: Entry
    group: str
    consumer: str
    deliveries: int
    reason: str
    parked_at: datetime


def parked_stream(stream: str) -> str:
    """Return the name of the dead-letter stream of `stream`."""
    return f"{stream}:parked"


def park(
    client: redis.Redis,
    entry: Entry,
    *,
    group: str,
    consumer: str,
    deliveries: int,
    reason: str,
    parked_at: datetime | None = None,
) -> EntryId:
    """Append the entry to the dead-letter stream of its stream, and return its ID there.

    The caller acknowledges the entry next. A worker that was killed between the two steps parks the entry again. An
    entry that is still among the 20 entries parked last (LOOK_BACK) is therefore not written twice.
    """
    beside = parked_stream(entry.stream)
    for earlier in read_backward(client, beside, before=None, after=None, count=LOOK_BACK):
        parked = _parsed(entry.stream, earlier)
        if parked is not None and (parked.entry, parked.group) == (entry, group):
            return parked.parked_id
    at = parked_at or datetime.now(UTC)
    meta = (entry.stream, str(entry.entry_id), group, consumer, str(deliveries), reason, at.isoformat())
    flat = [part for name, text in zip(META_FIELDS, meta, strict=True) for part in (name, _bytes(text))]
    flat += [part for pair in entry.pairs for part in pair]
    return EntryId.parse(call(client, "XADD", beside, "*", *flat, stream=beside))


def parked_entries(client: redis.Redis, stream: str, *, after: EntryId | None = None, count: int) -> list[ParkedEntry]:
    """Return at most `count` dead-lettered entries of `stream`, in the order of parking.

    `after` is an ID of the dead-letter stream, and is excluded. Entries that other programs wrote there in another
    form are left out.
    """
    entries: list[ParkedEntry] = []
    while len(entries) < count:
        page = read_forward(client, parked_stream(stream), after=after, count=min(count, READ_STEP))
        entries += [parked for parked in (_parsed(stream, entry) for entry in page) if parked is not None]
        if not page:
            break
        after = page[-1].entry_id
    return entries[:count]


def parked_entry(client: redis.Redis, stream: str, parked_id: EntryId) -> ParkedEntry | None:
    """Return the dead-lettered entry with this ID of the dead-letter stream.

    None if it is not (or no longer) there, or does not have the form that `park` writes.
    """
    entry = read_entry(client, parked_stream(stream), parked_id)
    return _parsed(stream, entry) if entry else None


def parked_count(client: redis.Redis, stream: str) -> int:
    """Return the length of the dead-letter stream of `stream`."""
    beside = parked_stream(stream)
    return int(call(client, "XLEN", beside, stream=beside))


def remove_parked(client: redis.Redis, stream: str, parked_ids: Sequence[EntryId]) -> int:
    """Remove these entries from the dead-letter stream, and return the number removed."""
    if not parked_ids:
        return 0
    beside = parked_stream(stream)
    return int(call(client, "XDEL", beside, *map(str, parked_ids), stream=beside))


def _parsed(stream: str, raw: Entry) -> ParkedEntry | None:
    """Return the dead-lettered entry, or None if it does not have the form that `park` writes."""
    meta, own = raw.pairs[: len(META_FIELDS)], raw.pairs[len(META_FIELDS) :]
    if tuple(name for name, _ in meta) != META_FIELDS:
        return None
    of, entry_id, group, consumer, deliveries, reason, at = (replies.text(value) for _, value in meta)
    try:
        entry = Entry(of, EntryId.parse(entry_id), own)
        parked_at = datetime.fromisoformat(at)
        if of != stream or parked_at.tzinfo is None:
            return None
        return ParkedEntry(raw.entry_id, entry, group, consumer, int(deliveries), reason, parked_at)
    except ValueError:
        return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")
