"""The pending entries of a consumer group: looking at them, and claiming them for another consumer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from evdash.events.entry_id import EntryId
from evdash.streams import replies
from evdash.streams.client import Command, Refused, call, call_all, call_at_once
from evdash.streams.deliveries import Delivery, expecting_group

# Entries claimed in one transaction: it is read twice, once to see whether it is there.
CLAIM_STEP = 100
# Pending entries read at a time where the server cannot leave out the busy ones itself.
FILTER_STEP = 1_000


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """An entry that was delivered to a consumer and not acknowledged yet."""

    stream: str
    entry_id: EntryId
    consumer: str
    idle_ms: int  # since it was last delivered
    deliveries: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim came to. `not_claimed`: acknowledged, never pending, or too busy: another consumer's affair."""

    deliveries: tuple[Delivery, ...]  # in stream order; without an `entry` where it is gone from the stream
    not_claimed: tuple[EntryId, ...]


def pending_entries(
    client: redis.Redis,
    stream: str,
    group: str,
    *,
    after: EntryId | None = None,
    idle_over_ms: int = 0,
    consumer: str | None = None,
    count: int,
) -> list[PendingEntry]:
    """At most `count` pending entries in stream order, of all consumers or one, idle for that long or longer.

    Raises GroupMissing.
    """
    if count <= 0 or after == EntryId.MAX:
        return []
    since = after.next() if after else EntryId.MIN
    idle = ("IDLE", idle_over_ms) if idle_over_ms > 0 else ()
    of = () if consumer is None else (consumer,)
    try:
        with expecting_group(stream, group):
            reply = call(
                client, "XPENDING", stream, group, *idle, str(since), str(EntryId.MAX), count, *of, stream=stream
            )
    except Refused as refusal:
        if idle and "syntax error" in refusal.answer:  # before Redis 6.2
            return _filtered(client, stream, group, since, idle_over_ms, consumer, count)
        raise
    return [_pending(stream, row) for row in reply]


def _filtered(
    client: redis.Redis, stream: str, group: str, since: EntryId, idle_over_ms: int, consumer: str | None, count: int
) -> list[PendingEntry]:
    """As `pending_entries`, the busy ones left out on this side."""
    found: list[PendingEntry] = []
    of = () if consumer is None else (consumer,)
    while len(found) < count:
        with expecting_group(stream, group):
            reply = call(
                client, "XPENDING", stream, group, str(since), str(EntryId.MAX), FILTER_STEP, *of, stream=stream
            )
        entries = [_pending(stream, row) for row in reply]
        found += [entry for entry in entries if entry.idle_ms >= idle_over_ms]
        if len(entries) < FILTER_STEP:
            break
        since = entries[-1].entry_id.next()
    return found[:count]


def pending_of(client: redis.Redis, stream: str, group: str, ids: Iterable[EntryId]) -> dict[EntryId, PendingEntry]:
    """Those of these entries that are pending now, in the order asked. Raises GroupMissing."""
    looks = [_look(stream, group, entry_id) for entry_id in dict.fromkeys(ids)]
    with expecting_group(stream, group):
        return _by_id(stream, call_all(client, *looks, stream=stream) if looks else [])


def claim(
    client: redis.Redis, stream: str, group: str, to_consumer: str, ids: Iterable[EntryId], *, idle_over_ms: int
) -> Claimed:
    """Make these pending entries `to_consumer`'s, those idle for that long or longer; it counts as a delivery.

    Redis checks the idle time as it claims, so of two who try one gets the entry. An entry that is gone from the
    stream cannot be claimed: it is told as a Delivery without `entry`, and stays pending until it is acknowledged. (One
    removed in the moment between the look and the claim is told as well, but Redis has then dropped it already.)
    Raises GroupMissing.
    """
    asked = sorted(set(ids))
    deliveries: list[Delivery] = []
    with expecting_group(stream, group):
        for start in range(0, len(asked), CLAIM_STEP):
            deliveries += _claim_step(
                client, stream, group, to_consumer, asked[start : start + CLAIM_STEP], idle_over_ms
            )
    claimed = {delivery.entry_id for delivery in deliveries}
    return Claimed(tuple(deliveries), tuple(entry_id for entry_id in asked if entry_id not in claimed))


def _claim_step(
    client: redis.Redis, stream: str, group: str, to_consumer: str, ids: Sequence[EntryId], idle_over_ms: int
) -> list[Delivery]:
    # Redis 7 and later drop a pending entry that is gone from the stream when it is claimed, without a word. So those
    # are not claimed; and what is compared is always of one moment, or else an acknowledged entry would look gone.
    pending, present = _pending_and_present(client, stream, group, ids)
    gone = {
        entry_id for entry_id, entry in pending.items() if entry_id not in present and entry.idle_ms >= idle_over_ms
    }
    claimable = [entry_id for entry_id in ids if entry_id in pending and entry_id in present]
    deliveries = [Delivery(stream, entry_id, None) for entry_id in gone]
    if claimable:
        deliveries += _claim_present(client, stream, group, to_consumer, claimable, idle_over_ms)
    return sorted(deliveries, key=lambda delivery: delivery.entry_id)


def _pending_and_present(
    client: redis.Redis, stream: str, group: str, ids: Sequence[EntryId]
) -> tuple[dict[EntryId, PendingEntry], set[EntryId]]:
    looks = [_look(stream, group, entry_id) for entry_id in ids]
    reads = [("XRANGE", stream, str(entry_id), str(entry_id)) for entry_id in ids]
    told = call_at_once(client, *looks, *reads, stream=stream)
    return _by_id(stream, told[: len(ids)]), {EntryId.parse(row[0]) for rows in told[len(ids) :] for row in rows}


def _claim_present(
    client: redis.Redis, stream: str, group: str, to_consumer: str, ids: Sequence[EntryId], idle_over_ms: int
) -> list[Delivery]:
    looks = [_look(stream, group, entry_id) for entry_id in ids]
    xclaim: Command = ("XCLAIM", stream, group, to_consumer, max(0, idle_over_ms), *map(str, ids))
    told = call_at_once(client, *looks, xclaim, *looks, stream=stream)
    before, after = _by_id(stream, told[: len(ids)]), _by_id(stream, told[len(ids) + 1 :])
    # Servers before 7 answer nil for an entry that is gone, and keep it pending for its new consumer.
    entries = {entry.entry_id: entry for entry in replies.entries(stream, [row for row in told[len(ids)] if row])}
    return [
        Delivery(stream, entry_id, entries.get(entry_id))
        for entry_id in before
        if entry_id in entries or _was_touched(before[entry_id], after.get(entry_id))
    ]


def _was_touched(before: PendingEntry, after: PendingEntry | None) -> bool:
    """Whether the claim dropped the entry or counted a delivery of it."""
    return after is None or after.deliveries > before.deliveries


def _look(stream: str, group: str, entry_id: EntryId) -> Command:
    return ("XPENDING", stream, group, str(entry_id), str(entry_id), 1)


def _by_id(stream: str, looks: Iterable[Any]) -> dict[EntryId, PendingEntry]:
    found = (_pending(stream, row) for rows in looks for row in rows)
    return {entry.entry_id: entry for entry in found}


def _pending(stream: str, row: Any) -> PendingEntry:
    raw_id, consumer, idle_ms, deliveries = row
    return PendingEntry(stream, EntryId.parse(raw_id), replies.text(consumer), int(idle_ms), int(deliveries))
