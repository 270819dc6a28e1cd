"""The part of a reading that comes from the stream: what lies past the watermark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import redis

from evdash.eventlog.positions import watermark
from evdash.events.entry import Entry
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.profile import decode
from evdash.streams.client import StreamsUnavailable
from evdash.streams.groups import GroupConsumer
from evdash.streams.reads import read_backward, read_entry, read_forward

# How much one reading takes from one stream. Decoding so many entries takes some 0.25 s; a page that is cut here says
# so and offers to read on.
STREAM_READ_MAX = 10_000
STREAM_READ_MAX_BYTES = 32 * 2**20
_FIRST_STEP = 200
_LARGEST_STEP = 2_000

Direction = Literal["backward", "forward"]


@dataclass(frozen=True, slots=True)
class Window:
    """Events of the streams past their watermarks, as far as they were read."""

    events: tuple[Event, ...]
    # Where reading stopped early: what lies further in the direction of reading is not known. None: all was read.
    stopped_at: EntryId | None
    newest: Mapping[str, EntryId]  # per stream, the newest entry read, else the watermark


@dataclass(slots=True)
class _Read:
    """What was read of one stream."""

    events: list[Event]
    newest: EntryId | None = None
    stopped_at: EntryId | None = None


class StreamPart:
    """The streams past their watermarks, for one reading. Redis out of reach is a sentence in `unreachable`."""

    def __init__(self, client: redis.Redis, streams: Sequence[str], group: str) -> None:
        self.client = client
        self.streams = tuple(streams)
        self.unreachable = ""
        self.watermarks = {stream: self._watermark(stream, group) for stream in self.streams}
        self._tail: Window | None = None

    def _watermark(self, stream: str, group: str) -> EntryId:
        """What both the log and the group know as committed; the group knows when the stream is another one now."""
        committed = watermark(group, stream)
        try:
            acknowledged = GroupConsumer(self.client, group, consumer="").watermark(stream)
        except StreamsUnavailable as outage:
            self.unreachable = str(outage)
            return committed
        return min(committed, acknowledged or EntryId.MIN)

    def tail(self) -> Window:
        """The newest entries past the watermarks, newest first; read once."""
        if self._tail is None:
            self._tail = self.window("backward")
        return self._tail

    def window(
        self,
        direction: Direction,
        start: EntryId | None = None,
        *,
        matches: Callable[[Event], bool] | None = None,
        limit: int | None = None,
    ) -> Window:
        """The entries past the watermarks next to `start` (excluded; None: the end to begin at) in this direction.

        With `matches` only those events, and with `limit` no further than that more than so many were found.
        """
        reads = {
            stream: self._read(stream, direction, start, mark, matches, limit)
            for stream, mark in self.watermarks.items()
        }
        stops = [read.stopped_at for read in reads.values() if read.stopped_at is not None]
        forward = direction == "forward"
        stopped_at = (min(stops) if forward else max(stops)) if stops else None
        return Window(
            tuple(
                event
                for read in reads.values()
                for event in read.events
                if stopped_at is None or (event.entry_id <= stopped_at if forward else event.entry_id >= stopped_at)
            ),
            stopped_at,
            self.watermarks | {stream: read.newest for stream, read in reads.items() if read.newest is not None},
        )

    def event(self, stream: str, entry_id: EntryId) -> Event | None:
        """This entry of one of the streams shown, committed or not; None when it has none such."""
        if stream not in self.streams or self.unreachable:
            return None
        try:
            entry = read_entry(self.client, stream, entry_id)
        except StreamsUnavailable as outage:
            self.unreachable = str(outage)
            return None
        return decode(entry) if entry else None

    def _read(
        self,
        stream: str,
        direction: Direction,
        start: EntryId | None,
        mark: EntryId,
        matches: Callable[[Event], bool] | None,
        limit: int | None,
    ) -> _Read:
        read = _Read([])
        count = size = 0
        step = _FIRST_STEP
        while not self.unreachable:
            entries = self._entries(stream, direction, start, mark, step)
            if entries:
                newest = entries[-1] if direction == "forward" else entries[0]
                read.newest = max(newest.entry_id, read.newest or EntryId.MIN)
            events = [decode(entry) for entry in entries]
            read.events += events if matches is None else filter(matches, events)
            if len(entries) < step:
                break
            start = entries[-1].entry_id
            count += len(entries)
            size += sum(len(name) + len(value) for entry in entries for name, value in entry.pairs)
            enough = limit is not None and len(read.events) > limit
            if enough or count >= STREAM_READ_MAX or size >= STREAM_READ_MAX_BYTES:
                read.stopped_at = start
                break
            fitting = (STREAM_READ_MAX_BYTES - size) * count // max(size, 1)
            step = max(1, min(_LARGEST_STEP, fitting, STREAM_READ_MAX - count))
        return read

    def _entries(
        self, stream: str, direction: Direction, start: EntryId | None, mark: EntryId, count: int
    ) -> list[Entry]:
        try:
            if direction == "forward":
                return read_forward(self.client, stream, after=max(mark, start or EntryId.MIN), count=count)
            return read_backward(self.client, stream, before=start, after=mark, count=count)
        except StreamsUnavailable as outage:
            self.unreachable = str(outage)
            return []
