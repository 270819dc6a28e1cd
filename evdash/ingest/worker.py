"""A worker: it reads entries for its group, lets the projection commit them, and acknowledges them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from django.utils import timezone
from structlog.stdlib import get_logger

from evdash.eventlog.group_progress import set_watermark, watermark
from evdash.eventlog.incarnations import begin_incarnation
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.ingest.batch import BatchProcessor
from evdash.ingest.projections.base import Projection
from evdash.streams.client import Refused
from evdash.streams.consumer_group import Delivery, GroupConsumer, GroupMissing
from evdash.streams.reads import read_forward
from evdash.streams.stream_info import existing_streams

logger = get_logger(__name__)

MAX_DELIVERIES = 5
CLAIM_IDLE_MS = 60_000
# Interval of checks for streams that cannot be read: they do not exist yet, or Redis refuses them.
LOOK_AGAIN_S = 1.0
# Entries of a stream without the group that are compared with the log, in steps.
COMPARED_AT_ONCE = 500
COMPARED_BATCHES = 20
# Codes of error replies that may concern one key. Others, such as OOM and READONLY, concern the server.
_OF_ONE_STREAM = ("WRONGTYPE", "NOPERM")


class Worker:
    """A consumer of the projection's group. `step()` processes one batch. The runner decides when to call it again.

    It reads the streams that exist. It creates none, and a key of another type does not stop the other streams.
    """

    def __init__(
        self,
        consumer: GroupConsumer,
        projection: Projection,
        streams: Sequence[str],
        *,
        batch_size: int,
        max_deliveries: int = MAX_DELIVERIES,
        claim_idle_ms: int = CLAIM_IDLE_MS,
        decode: Callable[[Entry], Event] = decode,
    ) -> None:
        self.consumer = consumer
        self.projection = projection
        self.watched = tuple(streams)
        self.streams: tuple[str, ...] = ()
        """The streams that it reads now."""
        self.refused: dict[str, Refused] = {}
        """The streams that Redis does not let it read, each with the refusal."""
        self._look_again_s = 0.0  # on the monotonic clock
        self.batch_size = batch_size
        self.claim_idle_ms = claim_idle_ms
        self.carrier = BatchProcessor(consumer, projection, max_deliveries, decode)
        # Streams with own pending entries that are not read yet, with the ID after which to read.
        self._pending_after: dict[str, EntryId] = {}
        # The time of the next retry of failed entries, by stream, on the monotonic clock.
        self._retry_at_s: dict[str, float] = {}
        # The watermarks stored in SQL, as far as this worker has read or written them. Others are read from SQL.
        self._recorded: dict[str, EntryId] = {}
        self.read_at_s: float | None = None
        """Time at which the last step read new entries, on the monotonic clock. None: no entries, or a full batch."""

    def connect(self) -> None:
        """Ensure that the groups exist and are not ahead of the tables; own pending entries are read first.

        Raises StreamsUnavailable if Redis refuses every stream of this user.
        """
        self._recorded.clear()
        self._pending_after.clear()
        self._retry_at_s.clear()
        self.read_at_s = None
        self.streams = ()
        self.look_again()

    def look_again(self) -> None:
        """Connect to the streams that exist by now. Raises StreamsUnavailable if Redis refuses all of them."""
        self._look_again_s = time.monotonic() + LOOK_AGAIN_S
        client = self.consumer.client
        existing = existing_streams(client, [stream for stream in self.watched if stream not in self.streams])
        self.refused = {}
        created: list[str] = []
        for stream, refusal in existing.items():
            try:
                if refusal is not None:
                    raise refusal
                if self._connect_to(stream) == "created":
                    created.append(stream)
            except Refused as refused:
                self._set_aside(stream, refused)
            except GroupMissing:  # the stream was deleted meanwhile
                continue
            else:
                self.streams = tuple(each for each in self.watched if each in {*self.streams, stream})
        if created:
            logger.info("consumer group created", group=self.projection.group, streams=created)

    def _set_aside(self, stream: str, refusal: Refused) -> None:
        """Do not read the stream until Redis lets it.

        Raises the refusal if it does not concern this stream only, or if this user may not read any stream.
        """
        if refusal.code not in _OF_ONE_STREAM:
            raise refusal
        self.streams = tuple(each for each in self.streams if each != stream)
        self._pending_after.pop(stream, None)
        self._retry_at_s.pop(stream, None)
        self.refused[stream] = refusal
        if len(self.refused) == len(self.watched) and any(each.code != "WRONGTYPE" for each in self.refused.values()):
            raise refusal

    def _connect_to(self, stream: str) -> str:
        """Ensure that the group exists in the stream; return the change."""
        change = "kept"
        committed = watermark(self.projection.group, stream)
        acknowledged = self.consumer.watermark(stream)
        if acknowledged is None:
            # The group is new, or the stream was recreated (emptied, restored, replaced). Only its beginning is a
            # certain start position. Entries that were applied before are not counted again.
            if committed > EntryId.MIN:
                self._separate_recreated(stream, committed)
            change = self._place_group(stream, EntryId.MIN)
        elif read_forward(self.consumer.client, stream, after=committed, through=acknowledged, count=1):
            # The tables are new or older than the group: entries that may be missing in them are read again.
            change = self._place_group(stream, committed)
        self.record_watermark(stream, self.consumer.watermark(stream))
        self._pending_after[stream] = EntryId.MIN
        return change

    def _separate_recreated(self, stream: str, committed: EntryId) -> None:
        """Keep the log of a former stream apart if the present one has other entries under the same IDs.

        All groups vanish with their stream, so the first worker that connects finds out.
        """
        after: EntryId | None = None
        for _ in range(COMPARED_BATCHES):
            entries = read_forward(self.consumer.client, stream, after=after, through=committed, count=COMPARED_AT_ONCE)
            if former := begin_incarnation(stream, entries, timezone.now()) if entries else 0:
                self._recorded.pop(stream, None)
                logger.warning(
                    "stream recreated",
                    group=self.projection.group,
                    stream=stream,
                    kept_entries=former,
                    reason="The stream has other entries under the same IDs. The event log keeps both apart.",
                )
                return
            if len(entries) < COMPARED_AT_ONCE:
                return
            after = entries[-1].entry_id

    def _place_group(self, stream: str, at: EntryId) -> str:
        change = self.consumer.ensure(stream, at)
        if change == "moved back":
            logger.info(
                "consumer group moved back",
                group=self.projection.group,
                stream=stream,
                watermark=at,
                reason="The tables do not have every entry that the group has acknowledged.",
            )
        return change

    def step(self, block_ms: int = 0) -> int:
        """Process one batch and return its number of entries; 0 means that no entry arrived within `block_ms`.

        Raises StreamsUnavailable, GroupMissing or a database's error. No entry is lost then: entries that were not
        acknowledged are delivered again after the next `connect`.
        """
        self.read_at_s = None
        if len(self.streams) < len(self.watched):
            if not self.streams or self._look_again_s <= time.monotonic():
                self.look_again()
            block_ms = min(block_ms, int(LOOK_AGAIN_S * 1000))
        self._retry_what_is_due()
        return self._step_pending() or self._step_new(block_ms)

    def _step_pending(self) -> int:
        """Process one batch of own pending entries and return its number; 0 if there are none."""
        while self._pending_after:
            stream, after = next(iter(self._pending_after.items()))
            try:
                deliveries = self.consumer.read_own_pending(stream, after, self.batch_size)
                if deliveries:
                    self.process(stream, deliveries, first_time=False)
            except Refused as refusal:
                self._set_aside(stream, refusal)
                continue
            if deliveries:
                if stream in self._pending_after:
                    self._pending_after[stream] = deliveries[-1].entry_id
                return len(deliveries)
            del self._pending_after[stream]
        return 0

    def _step_new(self, block_ms: int) -> int:
        """Process one batch of new entries and return its number; 0 if none arrived within `block_ms`."""
        if not self.streams:
            time.sleep(block_ms / 1000)
            return 0
        entries = self.consumer.read_new(self.streams, self.batch_size, self._wait_ms(block_ms))
        read_at_s = time.monotonic()
        batches = _by_stream(entries)
        for stream, batch in batches.items():
            try:
                self.process(stream, [Delivery(stream, entry.entry_id, entry) for entry in batch], first_time=True)
            except Refused as refusal:
                self._set_aside(stream, refusal)
        if not entries:
            for stream in self.streams:
                self.record_watermark(stream, self.consumer.watermark(stream))
        elif max(map(len, batches.values())) < self.batch_size:
            self.read_at_s = read_at_s
        return len(entries)

    def has_full_batch(self) -> bool:
        """Return whether a stream has a full batch of entries not yet delivered to the group. Raises as `step` does.

        False if Redis does not count them: on servers before 7, or for a range with deleted entries.
        """
        return any(lag is not None and lag >= self.batch_size for lag in self.consumer.lags(self.streams))

    def claim(self) -> int:
        """Claim and process entries that other consumers of the group left pending; return their number."""
        claimed = 0
        for stream in self.streams:
            deliveries = self.consumer.claim_idle(stream, self.claim_idle_ms, self.batch_size)
            if deliveries:
                logger.info(
                    "idle entries claimed",
                    group=self.projection.group,
                    stream=stream,
                    entries=len(deliveries),
                    first_id=deliveries[0].entry_id,
                    last_id=deliveries[-1].entry_id,
                    idle_ms=self.claim_idle_ms,
                )
                self.process(stream, deliveries, first_time=False)
                claimed += len(deliveries)
        return claimed

    def process(self, stream: str, deliveries: Sequence[Delivery], *, first_time: bool) -> None:
        """Process these deliveries; failed entries are retried later until they are dead-lettered."""
        for outcome in self.carrier.process(stream, deliveries, first_time=first_time):
            self.record_watermark(stream, outcome.watermark)
            if outcome.retry_in_s is not None:
                at_s = time.monotonic() + outcome.retry_in_s
                self._retry_at_s[stream] = min(at_s, self._retry_at_s.get(stream, at_s))

    def recheck_pending(self) -> int:
        """Make the next step read own pending entries: an operator may have claimed some for this consumer.

        Stored watermarks are read from SQL again, since another worker of the group may have recorded an older one.
        Returns 0, since no entry is processed.
        """
        self._recorded.clear()
        for stream in self.streams:
            self._pending_after.setdefault(stream, EntryId.MIN)
        return 0

    @property
    def retry_in_s(self) -> float | None:
        """Seconds until the next retry of a failed entry; None if there is no such entry."""
        return max(0.0, min(self._retry_at_s.values()) - time.monotonic()) if self._retry_at_s else None

    def committed(self, stream: str) -> EntryId:
        """Return the watermark in SQL: the tables contain every entry of the stream up to it."""
        return watermark(self.projection.group, stream)

    def record_watermark(self, stream: str, entry_id: EntryId | None) -> None:
        """Store the group's watermark in SQL if it has changed; None is ignored."""
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
