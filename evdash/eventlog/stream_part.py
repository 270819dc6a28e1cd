"""The part of a reading that comes from the stream: what lies past the watermark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis

from evdash.eventlog.positions import watermark
from evdash.events.entry import Entry
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.profile import decode
from evdash.streams.client import StreamsUnavailable
from evdash.streams.groups import GroupConsumer
from evdash.streams.reads import read_backward, read_entry, read_forward

# How many entries one reading takes from one stream. Decoding so many takes some 0.25 s; a page that is cut here says
# so and offers to read on.
STREAM_READ_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Window:
    """Events of the streams past their watermarks, as far as they were read."""

    events: tuple[Event, ...]
    # Where reading stopped at its bound: in the direction of reading, nothing past it is known. None: all was read.
    stopped_at: EntryId | None
    newest: Mapping[str, EntryId]  # per stream, the newest entry read, else the watermark


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
            self._tail = self.backward(before=None)
        return self._tail

    def backward(self, before: EntryId | None) -> Window:
        """The entries older than `before`, newest first."""
        read: dict[str, list[Entry]] = {}
        stops = [EntryId.MIN]
        for stream, mark in self.watermarks.items():
            if before is None or mark < before:
                read[stream] = self._read(stream, before=before, after=mark)
                if len(read[stream]) == STREAM_READ_MAX:
                    stops.append(read[stream][-1].entry_id)
        stopped_at = max(stops)
        return Window(
            tuple(decode(e) for entries in read.values() for e in entries if e.entry_id >= stopped_at),
            stopped_at if len(stops) > 1 else None,
            self.watermarks | {stream: entries[0].entry_id for stream, entries in read.items() if entries},
        )

    def forward(self, after: EntryId) -> Window:
        """The entries newer than `after`, oldest first."""
        read: dict[str, list[Entry]] = {}
        stops = [EntryId.MAX]
        for stream, mark in self.watermarks.items():
            read[stream] = self._read(stream, before=None, after=max(mark, after), forward=True)
            if len(read[stream]) == STREAM_READ_MAX:
                stops.append(read[stream][-1].entry_id)
        stopped_at = min(stops)
        return Window(
            tuple(decode(e) for entries in read.values() for e in entries if e.entry_id <= stopped_at),
            stopped_at if len(stops) > 1 else None,
            self.watermarks | {stream: entries[-1].entry_id for stream, entries in read.items() if entries},
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

    def _read(self, stream: str, *, before: EntryId | None, after: EntryId, forward: bool = False) -> list[Entry]:
        if self.unreachable:
            return []
        try:
            if forward:
                return read_forward(self.client, stream, after=after, count=STREAM_READ_MAX)
            return read_backward(self.client, stream, before=before, after=after, count=STREAM_READ_MAX)
        except StreamsUnavailable as outage:
            self.unreachable = str(outage)
            return []
