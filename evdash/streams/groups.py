"""Reading a stream as one consumer of a consumer group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import redis

from evdash.events.entry import Entry
from evdash.events.entry_id import EntryId
from evdash.streams import info, replies
from evdash.streams.client import Refused, call, call_all
from evdash.streams.deliveries import Delivery, GroupMissing, expecting_group, group_missing
from evdash.streams.pending import CLAIM_STEP, claim, pending_entries, pending_of

__all__ = ["Delivery", "GroupConsumer", "GroupMissing"]


@dataclass(frozen=True, slots=True)
class GroupConsumer:
    """One consumer of one group. `client` is one of `open_blocking_client` when `read_new` shall wait."""

    client: redis.Redis
    group: str
    consumer: str

    def ensure(self, stream: str, at: EntryId) -> Literal["created", "moved back", "kept"]:
        """Make sure that the group exists and that nothing after `at` is kept from it.

        Creates it (and the stream) at `at`; moves one that stands past it back, which delivers entries again; never
        moves one forward.
        """
        try:
            self._call(stream, "XGROUP CREATE", stream, self.group, str(at), "MKSTREAM")
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
        """At most `count` of the entries delivered to this consumer and not acknowledged, oldest first."""
        position = ("COUNT", count, "STREAMS", stream, str(after))
        reply = self._call(stream, "XREADGROUP", "GROUP", self.group, self.consumer, *position)
        return [
            Delivery(stream, EntryId.parse(raw_id), replies.entry(stream, raw_id, raw_pairs) if raw_pairs else None)
            for _, raw_entries in replies.by_stream(reply)
            for raw_id, raw_pairs in raw_entries
        ]

    def read_new(self, streams: Sequence[str], count: int, block_ms: int) -> list[Entry]:
        """At most `count` entries of each stream that no consumer of the group was given, in stream order.

        Waits up to `block_ms` for the first, not at all when it is 0. They stay pending until acknowledged.
        """
        waiting = ("BLOCK", block_ms) if block_ms > 0 else ()
        asked = ("COUNT", count, *waiting, "STREAMS", *streams, *(">" for _ in streams))
        reply = self._call(" or ".join(streams), "XREADGROUP", "GROUP", self.group, self.consumer, *asked)
        return [
            replies.entry(stream, raw_id, raw_pairs)
            for stream, raw_entries in replies.by_stream(reply)
            for raw_id, raw_pairs in raw_entries
        ]

    def claim_idle(self, stream: str, idle_over_ms: int, count: int) -> list[Delivery]:
        """At most `count` entries of other consumers, idle for that long or longer and this one's from now on.

        An entry that is gone from the stream is among them, without its `entry`, until it is acknowledged.
        """
        found: list[EntryId] = []
        after: EntryId | None = None
        while len(found) < count:
            page = pending_entries(
                self.client, stream, self.group, after=after, idle_over_ms=idle_over_ms, count=max(count, 100)
            )
            found += [entry.entry_id for entry in page if entry.consumer != self.consumer]
            if not page:
                break
            after = page[-1].entry_id
        ids = found[:count]
        return list(claim(self.client, stream, self.group, self.consumer, ids, idle_over_ms=idle_over_ms).deliveries)

    def make_pending(self, stream: str, entry_ids: Sequence[EntryId]) -> None:
        """Make these entries pending for this consumer, whoever was given or has acknowledged them before."""
        for start in range(0, len(entry_ids), CLAIM_STEP):
            ids = map(str, entry_ids[start : start + CLAIM_STEP])
            self._call(stream, "XCLAIM", stream, self.group, self.consumer, 0, *ids, "FORCE", "JUSTID")

    def deliveries_of(self, stream: str, entry_ids: Sequence[EntryId]) -> dict[EntryId, int]:
        """How often these entries were delivered; without those that are not pending (any more)."""
        pending = pending_of(self.client, stream, self.group, entry_ids)
        return {entry_id: entry.deliveries for entry_id, entry in pending.items()}

    def acknowledge(self, stream: str, entry_ids: Sequence[EntryId]) -> EntryId:
        """Acknowledge these entries; returns the watermark after it."""
        return self._watermark(stream, ("XACK", stream, self.group, *map(str, entry_ids)) if entry_ids else None)

    def lags(self, streams: Sequence[str]) -> list[int | None]:
        """Return for each stream how many entries no consumer of the group was given; None where Redis does not say.

        Redis counts that from version 7 on, and not over entries deleted in the middle. Raises GroupMissing.
        """
        return [self._group(stream, self._call(stream, "XINFO GROUPS", stream)).get("lag") for stream in streams]

    def watermark(self, stream: str) -> EntryId | None:
        """Everything up to here was delivered to the group and acknowledged; None when there is no such group."""
        try:
            return self._watermark(stream, None)
        except GroupMissing:
            return None

    def _watermark(self, stream: str, first: Sequence[str] | None) -> EntryId:
        # In this order: what is delivered between the two answers lies past the position told by the first.
        looks = (("XINFO GROUPS", stream), ("XPENDING", stream, self.group))
        with expecting_group(stream, self.group):
            *_, groups, pending = call_all(self.client, *((first,) if first else ()), *looks, stream=stream)
        oldest_pending = EntryId.parse(pending[1]) if pending[1] else None
        return info.watermark(self._last_delivered(stream, groups), oldest_pending)

    def _last_delivered(self, stream: str, groups_reply: Any) -> EntryId:
        return EntryId.parse(self._group(stream, groups_reply)["last-delivered-id"])

    def _group(self, stream: str, groups_reply: Any) -> dict[str, Any]:
        for group in map(replies.record, groups_reply):
            if replies.text(group["name"]) == self.group:
                return group
        raise group_missing(stream, self.group)

    def _call(self, stream: str, *command: str | int) -> Any:
        with expecting_group(stream, self.group):
            return call(self.client, *command, stream=stream)
