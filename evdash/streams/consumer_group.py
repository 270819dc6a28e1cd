"""Reads of one consumer of a consumer group, and claims of pending entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import redis

from evdash.events.entry import Entry, EntryId
from evdash.streams import replies, stream_info
from evdash.streams.client import Command, Refused, call, call_all, call_at_once
from evdash.streams.names import name_of

# Parts of Redis's error messages for a missing group or stream. They differ by command.
_GONE = ("NOGROUP", "no such key", "requires the key to exist", "no longer exists")


class GroupMissing(Exception):
    """A consumer group that does not exist, or has lost its stream. The message names both."""


class Delivery(NamedTuple):
    """An entry pending for this consumer. `entry` is None if the entry was deleted or trimmed since."""

    stream: str
    entry_id: EntryId
    entry: Entry | None


@contextmanager
def expecting_group(stream: str, group: str) -> Iterator[None]:
    """Turn error replies about a missing group or stream into GroupMissing."""
    try:
        yield
    except Refused as refusal:
        if any(words in refusal.answer for words in _GONE):
            raise group_missing(stream, group) from refusal
        raise


def group_missing(stream: str, group: str) -> GroupMissing:
    """Return the exception with its sentence."""
    return GroupMissing(f"Consumer group {group} does not exist on {stream}.")


# Entries claimed in one transaction. Each of them is read twice, once to check that the stream still has it.
CLAIM_STEP = 100
# Pending entries read at a time if the server cannot filter by idle time (before Redis 6.2).
FILTER_STEP = 1_000


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """An entry that was delivered to a consumer and is not acknowledged yet."""

    stream: str
    entry_id: EntryId
    consumer: str
    idle_ms: int  # since it was last delivered
    deliveries: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """The result of a claim.

    `not_claimed` has entries that are acknowledged, were never pending, or are too busy at another consumer.
    """

    deliveries: tuple[Delivery, ...]  # in stream order; `entry` is None if the stream no longer has it
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
    """Return at most `count` pending entries in stream order, of all consumers or of one.

    `after` is excluded. Only entries that were idle for `idle_over_ms` or longer are returned. Raises GroupMissing.
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
    """Return pending entries as `pending_entries` does, with the idle time checked in Python."""
    matching: list[PendingEntry] = []
    of = () if consumer is None else (consumer,)
    while len(matching) < count:
        with expecting_group(stream, group):
            reply = call(
                client, "XPENDING", stream, group, str(since), str(EntryId.MAX), FILTER_STEP, *of, stream=stream
            )
        entries = [_pending(stream, row) for row in reply]
        matching += [entry for entry in entries if entry.idle_ms >= idle_over_ms]
        if len(entries) < FILTER_STEP:
            break
        since = entries[-1].entry_id.next()
    return matching[:count]


def pending_of(client: redis.Redis, stream: str, group: str, ids: Iterable[EntryId]) -> dict[EntryId, PendingEntry]:
    """Return by ID those of these entries that are pending now, in the given order. Raises GroupMissing."""
    looks = [_look(stream, group, entry_id) for entry_id in dict.fromkeys(ids)]
    with expecting_group(stream, group):
        return _by_id(stream, call_all(client, *looks, stream=stream) if looks else [])


def claim(
    client: redis.Redis, stream: str, group: str, to_consumer: str, ids: Iterable[EntryId], *, idle_over_ms: int
) -> Claimed:
    """Make `to_consumer` the owner of these pending entries, if they were idle for `idle_over_ms` or longer.

    A claim counts as a delivery. Redis checks the idle time during the claim, so only one of two claimants gets an
    entry.

    An entry that the stream no longer has cannot be claimed. It is returned as a Delivery without `entry`, and
    stays pending until it is acknowledged.

    An entry removed between the check and the claim is returned in the same way. Redis 7 and later have then
    already dropped it from the pending entries. Raises GroupMissing.
    """
    requested = sorted(set(ids))
    deliveries: list[Delivery] = []
    with expecting_group(stream, group):
        for start in range(0, len(requested), CLAIM_STEP):
            deliveries += _claim_step(
                client, stream, group, to_consumer, requested[start : start + CLAIM_STEP], idle_over_ms
            )
    claimed = {delivery.entry_id for delivery in deliveries}
    return Claimed(tuple(deliveries), tuple(entry_id for entry_id in requested if entry_id not in claimed))


def _claim_step(
    client: redis.Redis, stream: str, group: str, to_consumer: str, ids: Sequence[EntryId], idle_over_ms: int
) -> list[Delivery]:
    # Redis 7 and later silently drop a claimed pending entry that the stream no longer has. So such entries are not
    # claimed. Both reads are of one moment: otherwise an entry acknowledged in between would count as removed.
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
    raw_replies = call_at_once(client, *looks, *reads, stream=stream)
    return _by_id(stream, raw_replies[: len(ids)]), {
        EntryId.parse(row[0]) for rows in raw_replies[len(ids) :] for row in rows
    }


def _claim_present(
    client: redis.Redis, stream: str, group: str, to_consumer: str, ids: Sequence[EntryId], idle_over_ms: int
) -> list[Delivery]:
    looks = [_look(stream, group, entry_id) for entry_id in ids]
    xclaim: Command = ("XCLAIM", stream, group, to_consumer, max(0, idle_over_ms), *map(str, ids))
    raw_replies = call_at_once(client, *looks, xclaim, *looks, stream=stream)
    before, after = _by_id(stream, raw_replies[: len(ids)]), _by_id(stream, raw_replies[len(ids) + 1 :])
    # Servers before 7 reply nil for a removed entry, and keep it pending for its new consumer.
    entries = {
        entry.entry_id: entry for entry in replies.entries(stream, [row for row in raw_replies[len(ids)] if row])
    }
    return [
        Delivery(stream, entry_id, entries.get(entry_id))
        for entry_id in before
        if entry_id in entries or _was_touched(before[entry_id], after.get(entry_id))
    ]


def _was_touched(before: PendingEntry, after: PendingEntry | None) -> bool:
    """Return True if the claim dropped the entry or counted a delivery of it."""
    return after is None or after.deliveries > before.deliveries


def _look(stream: str, group: str, entry_id: EntryId) -> Command:
    return ("XPENDING", stream, group, str(entry_id), str(entry_id), 1)


def _by_id(stream: str, looks: Iterable[Any]) -> dict[EntryId, PendingEntry]:
    entries = (_pending(stream, row) for rows in looks for row in rows)
    return {entry.entry_id: entry for entry in entries}


def _pending(stream: str, row: Any) -> PendingEntry:
    raw_id, consumer, idle_ms, deliveries = row
    return PendingEntry(stream, EntryId.parse(raw_id), name_of(consumer), int(idle_ms), int(deliveries))


__all__ = ["Delivery", "GroupConsumer", "GroupMissing"]


@dataclass(frozen=True, slots=True)
class GroupConsumer:
    """One consumer of one group.

    `client` is from `open_blocking_client` if `read_new` is to wait.
    """

    client: redis.Redis
    group: str
    consumer: str

    def ensure(self, stream: str, at: EntryId) -> Literal["created", "moved back", "kept"]:
        """Ensure that the group exists and delivers everything after `at`.

        Creates the group at `at`, and never the stream: raises GroupMissing without it. A group with a later position
        is moved back, which delivers entries again. A group is never moved forward.
        """
        try:
            self._call(stream, "XGROUP CREATE", stream, self.group, str(at))
        except Refused as refusal:
            if "BUSYGROUP" not in refusal.answer:
                raise
        else:
            return "created"
        if self._last_delivered(stream, self._call(stream, "XINFO GROUPS", stream)) <= at:
            return "kept"
        self._call(stream, "XGROUP SETID", stream, self.group, str(at))
        return "moved back"

    def read_own_pending(self, stream: str, after: EntryId, count: int) -> list[Delivery]:
        """Return at most `count` pending entries of this consumer after `after`, oldest first."""
        position = ("COUNT", count, "STREAMS", stream, str(after))
        reply = self._call(stream, "XREADGROUP", "GROUP", self.group, self.consumer, *position)
        return [
            Delivery(stream, EntryId.parse(raw_id), replies.entry(stream, raw_id, raw_pairs) if raw_pairs else None)
            for _, raw_entries in replies.by_stream(reply)
            for raw_id, raw_pairs in raw_entries
        ]

    def read_new(self, streams: Sequence[str], count: int, block_ms: int) -> list[Entry]:
        """Return at most `count` entries of each stream that were not delivered to the group yet, in stream order.

        Waits up to `block_ms` for the first one; 0 does not wait. The entries stay pending until they are
        acknowledged.
        """
        if not streams:
            return []
        waiting = ("BLOCK", block_ms) if block_ms > 0 else ()
        arguments = ("COUNT", count, *waiting, "STREAMS", *streams, *(">" for _ in streams))
        reply = self._call(" or ".join(streams), "XREADGROUP", "GROUP", self.group, self.consumer, *arguments)
        return [
            replies.entry(stream, raw_id, raw_pairs)
            for stream, raw_entries in replies.by_stream(reply)
            for raw_id, raw_pairs in raw_entries
        ]

    def claim_idle(self, stream: str, idle_over_ms: int, count: int) -> list[Delivery]:
        """Claim at most `count` entries of other consumers, idle for `idle_over_ms` or longer, and return them.

        An entry that the stream no longer has is returned without its `entry`, each time until it is
        acknowledged.
        """
        idle_ids: list[EntryId] = []
        after: EntryId | None = None
        while len(idle_ids) < count:
            page = pending_entries(
                self.client, stream, self.group, after=after, idle_over_ms=idle_over_ms, count=max(count, 100)
            )
            idle_ids += [entry.entry_id for entry in page if entry.consumer != self.consumer]
            if not page:
                break
            after = page[-1].entry_id
        ids = idle_ids[:count]
        return list(claim(self.client, stream, self.group, self.consumer, ids, idle_over_ms=idle_over_ms).deliveries)

    def make_pending(self, stream: str, entry_ids: Sequence[EntryId]) -> None:
        """Make these entries pending for this consumer, even if delivered to others or acknowledged before."""
        for start in range(0, len(entry_ids), CLAIM_STEP):
            ids = map(str, entry_ids[start : start + CLAIM_STEP])
            self._call(stream, "XCLAIM", stream, self.group, self.consumer, 0, *ids, "FORCE", "JUSTID")

    def deliveries_of(self, stream: str, entry_ids: Sequence[EntryId]) -> dict[EntryId, int]:
        """Return by ID the delivery count of these entries, without those that are not pending (any more)."""
        pending = pending_of(self.client, stream, self.group, entry_ids)
        return {entry_id: entry.deliveries for entry_id, entry in pending.items()}

    def acknowledge(self, stream: str, entry_ids: Sequence[EntryId]) -> EntryId:
        """Acknowledge these entries and return the watermark afterwards."""
        return self._watermark(stream, ("XACK", stream, self.group, *map(str, entry_ids)) if entry_ids else None)

    def lags(self, streams: Sequence[str]) -> list[int | None]:
        """Return for each stream the number of entries not yet delivered to the group.

        None if Redis does not report it. Redis counts the lag from version 7 on, and not across entries deleted
        in the middle. Raises GroupMissing.
        """
        return [self._group(stream, self._call(stream, "XINFO GROUPS", stream)).get("lag") for stream in streams]

    def watermark(self, stream: str) -> EntryId | None:
        """Return the ID up to which everything was delivered and acknowledged, or None without such a group."""
        try:
            return self._watermark(stream, None)
        except GroupMissing:
            return None

    def _watermark(self, stream: str, first: Sequence[str] | None) -> EntryId:
        # In this order: an entry delivered between the two replies has an ID past the position in the first.
        looks = (("XINFO GROUPS", stream), ("XPENDING", stream, self.group))
        with expecting_group(stream, self.group):
            *_, groups, pending = call_all(self.client, *((first,) if first else ()), *looks, stream=stream)
        oldest_pending = EntryId.parse(pending[1]) if pending[1] else None
        return stream_info.watermark(self._last_delivered(stream, groups), oldest_pending)

    def _last_delivered(self, stream: str, groups_reply: Any) -> EntryId:
        return EntryId.parse(self._group(stream, groups_reply)["last-delivered-id"])

    def _group(self, stream: str, groups_reply: Any) -> dict[str, Any]:
        for group in map(replies.record, groups_reply):
            if name_of(group["name"]) == self.group:
                return group
        raise group_missing(stream, self.group)

    def _call(self, stream: str, *command: str | int) -> Any:
        with expecting_group(stream, self.group):
            return call(self.client, *command, stream=stream)
