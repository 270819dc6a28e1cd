"""One worker: reads a batch for its group, has the projection commit it, acknowledges it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from evdash.eventlog.positions import set_watermark, watermark
from evdash.events.entry import Entry
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.profile import decode
from evdash.streams.groups import Delivery, GroupConsumer
from evdash.streams.reads import read_forward

logger = logging.getLogger("evdash.workers")


class Projection(Protocol):
    """What turns events into tables; `apply` commits before it returns and counts no event twice."""

    group: str

    def apply(self, events: Sequence[Event]) -> int:
        """Commit these events; returns how many were new."""


class Worker:
    """A consumer of the projection's group. `step` does one batch; when to call it again is the loop's affair."""

    def __init__(
        self, consumer: GroupConsumer, projection: Projection, streams: Sequence[str], *, batch_size: int
    ) -> None:
        self.consumer = consumer
        self.projection = projection
        self.streams = tuple(streams)
        self.batch_size = batch_size
        # Streams whose own pending entries are still to be read, and after which ID.
        self._pending_after: dict[str, EntryId] = {}

    def connect(self) -> None:
        """Make sure that the groups exist and stand no further than the log; what is pending here comes first."""
        for stream in self.streams:
            committed = watermark(self.projection.group, stream)
            acknowledged = self.consumer.watermark(stream)
            if acknowledged is None:
                # The group is new, or the stream is not the one that the log knows (emptied, restored, replaced):
                # only its very beginning is a certain place to read from. What the log has is not counted again.
                self._place_group(stream, EntryId.MIN)
            elif read_forward(self.consumer.client, stream, after=committed, through=acknowledged, count=1):
                # The log is new or older than the group: it asks again for what it does not certainly have.
                self._place_group(stream, committed)
            self._record_watermark(stream, self.consumer.watermark(stream))
            self._pending_after[stream] = EntryId.MIN

    def _place_group(self, stream: str, at: EntryId) -> None:
        change = self.consumer.ensure(stream, at)
        logger.info("Group %s on %s: %s at %s.", self.projection.group, stream, change, at)

    def step(self, block_ms: int = 0) -> int:
        """Carry one batch over: returns how many entries it had; 0 means that there was nothing within `block_ms`.

        Raises StreamsUnavailable, GroupMissing or a database's error; then nothing is lost: what was not acknowledged
        is delivered again after the next `connect`.
        """
        while self._pending_after:
            stream, after = next(iter(self._pending_after.items()))
            deliveries = self.consumer.read_own_pending(stream, after, self.batch_size)
            if deliveries:
                self._carry_over(stream, deliveries)
                self._pending_after[stream] = deliveries[-1].entry_id
                return len(deliveries)
            del self._pending_after[stream]
        entries = self.consumer.read_new(self.streams, self.batch_size, block_ms)
        for stream, batch in _by_stream(entries).items():
            self._carry_over(stream, [Delivery(stream, entry.entry_id, entry) for entry in batch])
        if not entries:
            for stream in self.streams:
                self._record_watermark(stream, self.consumer.watermark(stream))
        return len(entries)

    def _carry_over(self, stream: str, deliveries: Sequence[Delivery]) -> None:
        events = [decode(delivery.entry) for delivery in deliveries if delivery.entry is not None]
        if len(events) < len(deliveries):
            gone = [delivery.entry_id for delivery in deliveries if delivery.entry is None]
            logger.warning(
                "%d entries of %s were deleted before they were read: %s to %s.", len(gone), stream, gone[0], gone[-1]
            )
        self.projection.apply(events)
        acknowledged = self.consumer.acknowledge(stream, [delivery.entry_id for delivery in deliveries])
        self._record_watermark(stream, acknowledged)

    def _record_watermark(self, stream: str, entry_id: EntryId | None) -> None:
        if entry_id is not None and entry_id != watermark(self.projection.group, stream):
            set_watermark(self.projection.group, stream, entry_id)


def _by_stream(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    batches: dict[str, list[Entry]] = {}
    for entry in entries:
        batches.setdefault(entry.stream, []).append(entry)
    return batches
