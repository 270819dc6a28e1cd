"""The part of a reading that comes from the stream: what lies past the watermark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Literal

from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter, Predicate
from evdash.streams.client import StreamsUnavailable
from evdash.streams.reads import read_backward, read_entry, read_forward
from evdash.streams.shared_tail import Held, SharedTail, StreamSlice, TailReading, key_of

# How much one page reads from one stream where somebody goes on beyond what the tail holds. Decoding so many entries
# takes some 0.3 s; a page that is cut here says so and offers to read on.
STREAM_READ_MAX = 10_000
STREAM_READ_MAX_BYTES = 32 * 2**20
_FIRST_STEP = 200
_LARGEST_STEP = 2_000

Direction = Literal["backward", "forward"]


@dataclass(frozen=True, slots=True)
class Window:
    """Events of the streams past their watermarks, as far as they are known."""

    events: tuple[Event, ...]
    # Where they stop early: what lies further in this direction is not known. None: nothing does.
    stopped_at: EntryId | None
    newest: Mapping[str, EntryId]  # per stream: everything up to there is in the log or in the window


@dataclass(slots=True)
class _Found:
    """What one stream gave."""

    events: list[Event]
    stopped_at: EntryId | None = None


class StreamPart:
    """The streams past the watermarks of one group, for one page.

    The tail of the process has it. Only who goes on from a place that the tail does not reach reads a stream.
    """

    def __init__(self, tail: SharedTail, reading: TailReading, group: str) -> None:
        self.reading = reading
        self._tail, self._group = tail, group
        self.unreachable = reading.unreachable

    @property
    def is_complete(self) -> bool:
        """Whether the tail reaches down to the watermarks; True while Redis cannot be asked: then it is left out."""
        return self.reading.reaches(self._group)

    @property
    def watermarks(self) -> Mapping[str, EntryId]:
        """By stream: what the group has committed for certain."""
        return {stream: each.watermarks[self._group] for stream, each in self.reading.slices.items()}

    def window(
        self,
        direction: Direction,
        start: EntryId | None,
        filter: EventFilter,
        now: datetime,
        *,
        limit: int,
        reads_on: bool = True,
    ) -> Window:
        """The events of the filter past the watermarks, next to `start` (excluded; None: the end to begin at) in this
        direction: more than `limit` of them, or all up to `stopped_at`. `reads_on`: read a stream where `start` is one
        that the tail does not reach."""
        matches = filter.predicate(now)
        forward = direction == "forward"
        indexed = self._indexed(filter)
        found = [
            self._found(stream, each, forward, start, matches, filter.needs_search_text, indexed, limit, reads_on)
            for stream, each in self.reading.slices.items()
        ]
        stops = [each.stopped_at for each in found if each.stopped_at is not None]
        stopped_at = (min(stops) if forward else max(stops)) if stops else None
        return Window(
            tuple(
                event
                for each in found
                for event in each.events
                if stopped_at is None or (event.entry_id <= stopped_at if forward else event.entry_id >= stopped_at)
            ),
            stopped_at,
            {stream: max(each.position, each.watermarks[self._group]) for stream, each in self.reading.slices.items()},
        )

    def event(self, stream: str, entry_id: EntryId) -> Event | None:
        """This entry of one of the streams shown, committed or not; None when it has none such."""
        known = self.reading.slices.get(stream)
        if known is None or self.unreachable:
            return None
        if held := known.held(entry_id):
            return held.event
        if known.info is None or not self._may_have(known, entry_id):
            return None
        try:
            entry = read_entry(self._tail.client, stream, entry_id)
        except StreamsUnavailable as outage:
            self.unreachable = str(outage)
            return None
        return decode(entry) if entry else None

    def _may_have(self, known: StreamSlice, entry_id: EntryId) -> bool:
        """Whether the stream may have an entry that the slice does not: before it, or after it by now."""
        first_id = known.info.first_id if known.info else None
        return entry_id > known.position or (
            first_id is not None and first_id <= entry_id <= max(known.start, known.watermarks[self._group])
        )

    def _indexed(self, filter: EventFilter) -> Mapping[str, list[Held]] | None:
        """By stream, the events that the filter can let through, oldest first; None: an index does not tell."""
        driver = filter.driver()
        if driver is None:
            return None
        by_stream: dict[str, list[Held]] = {stream: [] for stream in self.reading.slices}
        for held in self.reading.found(key_of(driver), self._group):
            by_stream[held.event.stream].append(held)
        for several in by_stream.values():
            several.sort(key=lambda held: held.entry_id)
        return by_stream

    def _found(
        self,
        stream: str,
        known: StreamSlice,
        forward: bool,
        start: EntryId | None,
        matches: Predicate,
        needs_text: bool,
        indexed: Mapping[str, list[Held]] | None,
        limit: int,
        reads_on: bool,
    ) -> _Found:
        mark = known.watermarks[self._group]
        is_complete = known.is_complete(self._group)
        if not forward and start is not None and start <= mark.next():
            return _Found([])  # the log has everything before `start`
        # Backward, `start` is one past the ID to begin at, which is one past where the tail begins.
        is_between = start is not None and (
            mark <= start < known.start if forward else start <= known.start.next().next()
        )
        if start is not None and is_between and not is_complete and not self.unreachable:
            # Somebody has come to the end of what the tail holds, and goes on from there.
            if reads_on:
                return self._read(stream, forward, start, mark, matches, limit)
            return _Found([], stopped_at=start)
        if forward and not is_complete and (start is None or start < mark):
            return _Found([], stopped_at=mark)  # what comes after it is beyond the tail
        held = known.after(mark) if indexed is None else indexed[stream]
        side: Iterable[Held]
        if forward:
            side = held if start is None else (each for each in held if each.entry_id > start)
        else:
            side = reversed(held)
            side = side if start is None else (each for each in side if each.entry_id < start)
        fitting = (each.event for each in side if matches(each.event, each.search_text if needs_text else None))
        events = list(islice(fitting, limit + 1))
        if not forward and not is_complete and len(events) <= limit:
            return _Found(events, stopped_at=known.start.next())
        return _Found(events)

    def _read(
        self, stream: str, forward: bool, start: EntryId, mark: EntryId, matches: Predicate, limit: int
    ) -> _Found:
        found = _Found([])
        count = size = 0
        step = _FIRST_STEP
        after = start
        while not self.unreachable:
            entries = self._entries(stream, forward, after, mark, step)
            found.events += [event for event in map(decode, entries) if matches(event)]
            if len(entries) < step:
                break
            after = entries[-1].entry_id
            count += len(entries)
            size += sum(len(name) + len(value) for entry in entries for name, value in entry.pairs)
            if len(found.events) > limit or count >= STREAM_READ_MAX or size >= STREAM_READ_MAX_BYTES:
                found.stopped_at = after
                break
            fitting = (STREAM_READ_MAX_BYTES - size) * count // max(size, 1)
            step = max(1, min(_LARGEST_STEP, fitting, STREAM_READ_MAX - count))
        return found

    def _entries(self, stream: str, forward: bool, start: EntryId, mark: EntryId, count: int) -> list[Entry]:
        try:
            if forward:
                return read_forward(self._tail.client, stream, after=max(mark, start), count=count)
            return read_backward(self._tail.client, stream, before=start, after=mark, count=count)
        except StreamsUnavailable as outage:
            self.unreachable = str(outage)
            return []
