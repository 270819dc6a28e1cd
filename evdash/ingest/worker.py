"""One worker: reads for its group, has the projection commit, acknowledges."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence

from evdash.eventlog.group_progress import set_watermark, watermark
from evdash.events.entry import Entry, EntryId
from evdash.ingest.batch import BatchProcessor
from evdash.ingest.projection_protocol import Projection
from evdash.streams.consumer_group import Delivery, GroupConsumer
from evdash.streams.reads import read_forward

logger = logging.getLogger("evdash.workers")

MAX_DELIVERIES = 5
CLAIM_IDLE_MS = 60_000


class Worker:
    """A consumer of the projection's group. `step` does one batch; when to call it again is the loop's affair."""

    def __init__(
        self,
        consumer: GroupConsumer,
        projection: Projection,
        streams: Sequence[str],
        *,
        batch_size: int,
        max_deliveries: int = MAX_DELIVERIES,
        claim_idle_ms: int = CLAIM_IDLE_MS,
    ) -> None:
        self.consumer = consumer
        self.projection = projection
        self.streams = tuple(streams)
        self.batch_size = batch_size
        self.claim_idle_ms = claim_idle_ms
        self.carrier = BatchProcessor(consumer, projection, max_deliveries)
        # Streams whose own pending entries are still to be read, and after which ID.
        self._pending_after: dict[str, EntryId] = {}
        # When the entries that could not be applied are tried again, by stream, on the monotonic clock.
        self._retry_at_s: dict[str, float] = {}
        # The watermarks that SQL has, as far as this worker knows. Without one, SQL is asked.
        self._recorded: dict[str, EntryId] = {}
        self.read_at_s: float | None = None
        """When the last step read new entries, on the monotonic clock. None: it read none, or a full batch."""

    def connect(self) -> None:
        """Make sure that the groups exist and stand no further than the tables; what is pending here comes first."""
        self._recorded.clear()
        self.read_at_s = None
        for stream in self.streams:
            committed = watermark(self.projection.group, stream)
            acknowledged = self.consumer.watermark(stream)
            if acknowledged is None:
                # The group is new, or the stream is not the one that the tables know (emptied, restored, replaced):
                # only its very beginning is a certain place to read from. What was applied is not counted again.
                self._place_group(stream, EntryId.MIN)
            elif read_forward(self.consumer.client, stream, after=committed, through=acknowledged, count=1):
                # The tables are new or older than the group: it asks again for what they do not certainly have.
                self._place_group(stream, committed)
            self.record_watermark(stream, self.consumer.watermark(stream))
            self._pending_after[stream] = EntryId.MIN
        self._retry_at_s.clear()

    def _place_group(self, stream: str, at: EntryId) -> None:
        change = self.consumer.ensure(stream, at)
        logger.info("Group %s on %s: %s at %s.", self.projection.group, stream, change, at)

    def step(self, block_ms: int = 0) -> int:
        """Carry one batch over: returns how many entries it had; 0 means that there was nothing within `block_ms`.

        Raises StreamsUnavailable, GroupMissing or a database's error; then nothing is lost: what was not acknowledged
        is delivered again after the next `connect`.
        """
        self.read_at_s = None
        self._retry_what_is_due()
        while self._pending_after:
            stream, after = next(iter(self._pending_after.items()))
            deliveries = self.consumer.read_own_pending(stream, after, self.batch_size)
            if deliveries:
                self.process(stream, deliveries, first_time=False)
                if stream in self._pending_after:
                    self._pending_after[stream] = deliveries[-1].entry_id
                return len(deliveries)
            del self._pending_after[stream]
        entries = self.consumer.read_new(self.streams, self.batch_size, self._wait_ms(block_ms))
        read_at_s = time.monotonic()
        batches = _by_stream(entries)
        for stream, batch in batches.items():
            self.process(stream, [Delivery(stream, entry.entry_id, entry) for entry in batch], first_time=True)
        if not entries:
            for stream in self.streams:
                self.record_watermark(stream, self.consumer.watermark(stream))
        elif max(map(len, batches.values())) < self.batch_size:
            self.read_at_s = read_at_s
        return len(entries)

    def has_full_batch(self) -> bool:
        """Return whether a stream has a full batch that the group was not given yet. Raises as `step` does.

        False where Redis does not count that: servers before 7, or a range with deleted entries.
        """
        return any(lag is not None and lag >= self.batch_size for lag in self.consumer.lags(self.streams))

    def claim(self) -> int:
        """Carry over what other consumers of the group have left lying; returns how many entries that were."""
        claimed = 0
        for stream in self.streams:
            deliveries = self.consumer.claim_idle(stream, self.claim_idle_ms, self.batch_size)
            if deliveries:
                logger.info(
                    "Claimed %d entries of %s that other consumers of %s had left lying: %s to %s.",
                    len(deliveries), stream, self.projection.group, deliveries[0].entry_id, deliveries[-1].entry_id,
                )  # fmt: skip
                self.process(stream, deliveries, first_time=False)
                claimed += len(deliveries)
        return claimed

    def process(self, stream: str, deliveries: Sequence[Delivery], *, first_time: bool) -> None:
        """Carry these over; those that failed are tried again later, as long as they are not parked."""
        for outcome in self.carrier.process(stream, deliveries, first_time=first_time):
            self.record_watermark(stream, outcome.watermark)
            if outcome.retry_in_s is not None:
                at_s = time.monotonic() + outcome.retry_in_s
                self._retry_at_s[stream] = min(at_s, self._retry_at_s.get(stream, at_s))

    def recheck_pending(self) -> int:
        """Have the next step begin with what is pending here: an operator may have claimed it for this consumer.

        Another worker of the group may have recorded an older watermark, so that SQL is asked for it again, too.
        Carries nothing over itself, so it returns 0.
        """
        self._recorded.clear()
        for stream in self.streams:
            self._pending_after.setdefault(stream, EntryId.MIN)
        return 0

    @property
    def retry_in_s(self) -> float | None:
        """When the next entry that failed is tried again; None when there is none."""
        return max(0.0, min(self._retry_at_s.values()) - time.monotonic()) if self._retry_at_s else None

    def committed(self, stream: str) -> EntryId:
        """Up to where the tables certainly have everything that the stream gave."""
        return watermark(self.projection.group, stream)

    def record_watermark(self, stream: str, entry_id: EntryId | None) -> None:
        """Write down how far the group certainly is, if that has changed."""
        if entry_id is None:
            return
        if stream not in self._recorded:
            self._recorded[stream] = watermark(self.projection.group, stream)
        if entry_id != self._recorded[stream]:
            set_watermark(self.projection.group, stream, entry_id)
            self._recorded[stream] = entry_id

    def _retry_what_is_due(self) -> None:
        now_s = time.monotonic()
        for stream, at_s in list(self._retry_at_s.items()):
            if at_s <= now_s:
                del self._retry_at_s[stream]
                self._pending_after[stream] = EntryId.MIN

    def _wait_ms(self, block_ms: int) -> int:
        retry_in_s = self.retry_in_s
        return block_ms if retry_in_s is None else min(block_ms, int(retry_in_s * 1000))


def _by_stream(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    batches: dict[str, list[Entry]] = {}
    for entry in entries:
        batches.setdefault(entry.stream, []).append(entry)
    return batches
