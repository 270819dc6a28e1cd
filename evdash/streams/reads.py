"""Range reads of one stream, in both directions. Every field of an entry is kept, repeated ones included."""

from __future__ import annotations

from collections.abc import Sequence

import redis

from evdash.events.entry import Entry, EntryId
from evdash.streams import replies
from evdash.streams.client import call, call_all

# Bounds are sent as inclusive ones: "(" needs Redis 6.2, and Redis refuses it at the ends of the ID range.


def read_forward(
    client: redis.Redis, stream: str, *, after: EntryId | None, through: EntryId = EntryId.MAX, count: int
) -> list[Entry]:
    """Return at most `count` entries in stream order.

    `after` is excluded; None reads from the beginning. `through` is included.
    """
    if after == EntryId.MAX or count <= 0:
        return []
    since = after.next() if after else EntryId.MIN
    if since > through:
        return []
    reply = call(client, "XRANGE", stream, str(since), str(through), "COUNT", count, stream=stream)
    return replies.entries(stream, reply)


def read_backward(
    client: redis.Redis, stream: str, *, before: EntryId | None, after: EntryId | None, count: int
) -> list[Entry]:
    """Return at most `count` entries, newest first.

    Both bounds are excluded. A bound of None is the stream's own end.
    """
    if before == EntryId.MIN or after == EntryId.MAX or count <= 0:
        return []
    newest = before.previous() if before else EntryId.MAX
    oldest = after.next() if after else EntryId.MIN
    if oldest > newest:
        return []
    reply = call(client, "XREVRANGE", stream, str(newest), str(oldest), "COUNT", count, stream=stream)
    return replies.entries(stream, reply)


def read_entry(client: redis.Redis, stream: str, entry_id: EntryId) -> Entry | None:
    """Return the entry with this ID, or None if the stream does not have it (any more)."""
    reply = call(client, "XRANGE", stream, str(entry_id), str(entry_id), stream=stream)
    entries = replies.entries(stream, reply)
    return entries[0] if entries else None


def read_entries(client: redis.Redis, stream: str, entry_ids: Sequence[EntryId]) -> dict[EntryId, Entry]:
    """Return by ID those of these entries that the stream still has."""
    commands = [("XRANGE", stream, str(entry_id), str(entry_id)) for entry_id in entry_ids]
    raw_replies = call_all(client, *commands, stream=stream) if commands else []
    return {entry.entry_id: entry for reply in raw_replies for entry in replies.entries(stream, reply)}
