"""The stream part of a reader: the entries past the watermark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Literal

from evdash.eventlog.inheritance import inherit_from_log
from evdash.eventlog.stream_deltas import StreamDeltas
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter, Predicate
from evdash.streams.client import StreamsUnavailable
from evdash.streams.reads import read_backward, read_entry, read_forward
from evdash.streams.shared_tail import Held, SharedTail, StreamSlice, TailReading

# Limits of one page's reads from one stream, if a user continues beyond the entries in the tail. Decoding this number
# of entries takes about 0.3 s. A page that stops at the limit states it and offers to continue.
STREAM_READ_MAX = 10_000
STREAM_READ_MAX_BYTES = 32 * 2**20
_FIRST_STEP = 200
_LARGEST_STEP = 2_000

Direction = Literal["backward", "forward"]


@dataclass(frozen=True, slots=True)
class Window:
    """Events of the streams past their watermarks, as far as they are known."""

    events: tuple[Event, ...]
    # Position at which the events stop early: later entries in this direction are unknown. None: none are unknown.
    stopped_at: EntryId | None
    newest: Mapping[str, EntryId]  # per stream: every entry up to this one is in the log or in the window


@dataclass(slots=True)
class _WindowPart:
    """The events found in one stream."""

    events: list[Event]
    stopped_at: EntryId | None = None


class StreamPart:
    """The streams past the watermarks of one group, for one page.

    The shared tail of the process provides the events. A stream is read only to continue from a position that the tail
    does not reach.
    """

    def __init__(self, tail: SharedTail, reading: TailReading, group: str) -> None:
        self.reading = reading
        self._tail, self._group = tail, group
        self.unreachable = reading.unreachable

    @property
    def is_complete(self) -> bool:
        """True if the tail reaches down to the watermarks, and during an outage of Redis, when the tail is left out."""
        return self.reading.reaches(self._group)

    @property
    def watermarks(self) -> Mapping[str, EntryId]:
        """The group's committed watermark of each stream."""
        return {stream: each.watermarks[self._group] for stream, each in self.reading.slices.items()}

    def window(
        self,
        direction: Direction,
        start: EntryId | None,
        filter: EventFilter,
        now: datetime,
        deltas: StreamDeltas,
        *,
        limit: int,
        reads_on: bool = True,
    ) -> Window:
        """Return the filter's events past the watermarks, next to `start` in this direction.

        `start` is excluded; None begins at the end. Returns more than `limit` events, or all up to `stopped_at`.
        `reads_on`: read a stream if the tail does not reach `start`. `deltas` are those of the reading.
        """
        matches = filter.predicate(now)
        forward = direction == "forward"
        indexed = self._indexed(filter, deltas)
        needs_text = filter.needs_search_text
        parts = [
            self._part(stream, part, forward, start, matches, needs_text, indexed, deltas, limit, reads_on)
            for stream, part in self.reading.slices.items()
        ]
        stops = [part.stopped_at for part in parts if part.stopped_at is not None]
        stopped_at = (min(stops) if forward else max(stops)) if stops else None
        return Window(
            tuple(
                event
                for part in parts
                for event in part.events
                if stopped_at is None or (event.entry_id <= stopped_at if forward else event.entry_id >= stopped_at)
            ),
            stopped_at,
            {stream: max(part.position, part.watermarks[self._group]) for stream, part in self.reading.slices.items()},
        )

    def event(self, stream: str, entry_id: EntryId) -> Event | None:
        """Return this entry of one of the streams, committed or not; None if the stream does not have it."""
        slice_of_stream = self.reading.slices.get(stream)
        if slice_of_stream is None or self.unreachable:
            return None
        if held := slice_of_stream.held(entry_id):
            return held.event
        if slice_of_stream.info is None or not self._may_have(slice_of_stream, entry_id):
            return None
        try:
            entry = read_entry(self._tail.client, stream, entry_id)
        except StreamsUnavailable as outage:
            self.unreachable = str(outage)
            return None
        return decode(entry) if entry else None

    def _may_have(self, slice_of_stream: StreamSlice, entry_id: EntryId) -> bool:
        """Return whether the stream may have an entry that the slice lacks: an earlier one, or a newly added one."""
        first_id = slice_of_stream.info.first_id if slice_of_stream.info else None
        return entry_id > slice_of_stream.position or (
            first_id is not None
            and first_id <= entry_id <= max(slice_of_stream.start, slice_of_stream.watermarks[self._group])
        )

    def _indexed(self, filter: EventFilter, deltas: StreamDeltas) -> Mapping[str, list[Held]] | None:
        """Return, by stream, the events that can match the filter, oldest first; None if no index applies."""
        driver = filter.driver()
        if driver is None:
            return None
        by_stream: dict[str, list[Held]] = {stream: [] for stream in self.reading.slices}
        for held in deltas.with_condition(driver):
            by_stream[held.event.stream].append(held)
        for several in by_stream.values():
            several.sort(key=lambda held: held.entry_id)
        return by_stream

    def _part(
        self,
        stream: str,
        slice_of_stream: StreamSlice,
        forward: bool,
        start: EntryId | None,
        matches: Predicate,
        needs_text: bool,
        indexed: Mapping[str, list[Held]] | None,
        deltas: StreamDeltas,
        limit: int,
        reads_on: bool,
    ) -> _WindowPart:
        mark = slice_of_stream.watermarks[self._group]
        is_complete = slice_of_stream.is_complete(self._group)
        if not forward and start is not None and start <= mark.next():
            return _WindowPart([])  # the log has every entry before `start`
        # Backward, `start` is one past the ID to begin at, which is one past the beginning of the tail.
        is_between = start is not None and (
            mark <= start < slice_of_stream.start if forward else start <= slice_of_stream.start.next().next()
        )
        if start is not None and is_between and not is_complete and not self.unreachable:
            # The user has reached the end of the tail's entries and continues from there.
            if reads_on:
                return self._read(stream, forward, start, mark, matches, deltas, limit)
            return _WindowPart([], stopped_at=start)
        if forward and not is_complete and (start is None or start < mark):
            return _WindowPart([], stopped_at=mark)  # the entries after it are beyond the tail
        held = slice_of_stream.after(mark) if indexed is None else indexed[stream]
        side: Iterable[Held]
        if forward:
            side = held if start is None else (each for each in held if each.entry_id > start)
        else:
            side = reversed(held)
            side = side if start is None else (each for each in side if each.entry_id < start)
        fitting = (
            event for each in side if matches(event := deltas.event_of(each), each.search_text if needs_text else None)
        )
        events = list(islice(fitting, limit + 1))
        if not forward and not is_complete and len(events) <= limit:
            return _WindowPart(events, stopped_at=slice_of_stream.start.next())
        return _WindowPart(events)

    def _read(
        self,
        stream: str,
        forward: bool,
        start: EntryId,
        mark: EntryId,
        matches: Predicate,
        deltas: StreamDeltas,
        limit: int,
    ) -> _WindowPart:
        part = _WindowPart([])
        count = size = 0
        step = _FIRST_STEP
        after = start
        while not self.unreachable:
            entries = self._entries(stream, forward, after, mark, step)
            events = map(deltas.inheritance.event, inherit_from_log(list(map(decode, entries))))
            part.events += [event for event in events if matches(event)]
            if len(entries) < step:
                break
            after = entries[-1].entry_id
            count += len(entries)
            size += sum(len(name) + len(value) for entry in entries for name, value in entry.pairs)
            if len(part.events) > limit or count >= STREAM_READ_MAX or size >= STREAM_READ_MAX_BYTES:
                part.stopped_at = after
                break
            fitting = (STREAM_READ_MAX_BYTES - size) * count // max(size, 1)
            step = max(1, min(_LARGEST_STEP, fitting, STREAM_READ_MAX - count))
        return part

    def _entries(self, stream: str, forward: bool, start: EntryId, mark: EntryId, count: int) -> list[Entry]:
        try:
            if forward:
                return read_forward(self._tail.client, stream, after=max(mark, start), count=count)
            return read_backward(self._tail.client, stream, before=start, after=mark, count=count)
        except StreamsUnavailable as outage:
            self.unreachable = str(outage)
            return []
