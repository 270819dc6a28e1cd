"""Catch-up: reads the events between a page's cursor and now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import EventPage, MissingEntries, Position
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import Condition, EventFilter
from evdash.live.frames import Cursor, Render, is_beyond
from evdash.live.subscription import CatchUp, SkippedRange
from evdash.streams.client import StreamsUnavailable
from evdash.web.event_display.gap_row import list_owner, render_gap
from evdash.web.event_display.row import ViewMode

# A page that missed more events receives the newest MISSED_ROWS and a link to the rest.
# MISSED_COUNT_MAX bounds the events that are read, and so counted, per stream.
MISSED_ROWS = 100
MISSED_COUNT_MAX = 1_000


@dataclass(frozen=True, slots=True)
class _MissedPart:
    """The events and gaps of one stream after the cursor."""

    events: Mapping[Position, Event]
    is_all: bool  # False: further events exist between these
    start: Position  # before all of them
    duplicates: frozenset[Position] = frozenset()
    gaps: tuple[MissingEntries, ...] = ()


def missed(filter: EventFilter, cursor: Cursor, tailed: Cursor, render: Render, view: ViewMode = "events") -> CatchUp:
    """Return the events that match the filter after the cursor, in the streams that the cursor names.

    The read ends at the current end of each stream; the tail delivers newer events. `tailed` is the tail's position
    when the page joined the hub. Blocks: call it in a thread. Raises StreamsUnavailable, because events that only the
    stream has would be missing.
    """
    with open_reader() as reader:
        ends = reader.last_entry_ids()
        recreated = {stream for stream, seen in cursor.items() if ends[stream] < max(seen, tailed[stream])}
        parts = [
            _between(reader, stream_filter, Position(after, stream), through)
            for stream, seen in cursor.items()
            for after, through in _parts(seen, ends[stream])
            if (stream_filter := _in_stream(filter, stream)) and after < through
        ]
        events = {position: event for part in parts for position, event in part.events.items()}
        owner = list_owner(reader, filter, events.values(), [gap for part in parts for gap in part.gaps])
        if reader.unreachable:
            raise StreamsUnavailable(reader.unreachable)
    ordered = sorted(events, key=lambda position: (position.entry_id, position.stream))
    shown = ordered[-MISSED_ROWS:]
    duplicates = frozenset[Position]().union(*(part.duplicates for part in parts))
    # Gaps within the skipped range are shown when the page loads that range.
    from_id = shown[0].entry_id if len(shown) < len(ordered) else EntryId.MIN
    gaps = [gap for part in parts for gap in part.gaps if gap.last_id >= from_id]
    items = [(p.entry_id, 1, render(events[p], view, is_duplicate=p in duplicates)) for p in shown]
    items += [(gap.last_id, 0, render_gap(gap, owner)) for gap in gaps]
    starts = [part.start for part in parts if part.events or not part.is_all]
    return CatchUp(
        rows=tuple(html for _, _, html in sorted(items, key=lambda item: item[:2])),
        cursor={stream: ends[stream] for stream in cursor},
        start=min(starts, key=lambda position: position.entry_id, default=Position(EntryId.MIN, "")),
        skipped=len(ordered) - len(shown),
        is_exact=all(part.is_all for part in parts),
        before_recreation={
            stream: max([cursor[stream], *(position.entry_id for position in events if position.stream == stream)])
            if ends[stream] < cursor[stream]
            else tailed[stream]  # the page was loaded after the recreation and has the earlier events
            for stream in recreated
        },
        gaps=len(gaps),
    )


def newest_unsent(filter: EventFilter, unsent: SkippedRange, render: Render, view: ViewMode = "events") -> CatchUp:
    """Return the newest events of the skipped range. Blocks: call it in a thread. Raises StreamsUnavailable."""
    events: dict[Position, Event] = {}
    duplicates: frozenset[Position] = frozenset()
    with open_reader() as reader:
        for stream, through in unsent.through.items():
            stream_filter = _in_stream(filter, stream)
            if stream_filter is not None:
                page = reader.page(stream_filter, before=Position(through.next(), ""), limit=MISSED_ROWS)
                events.update((Position.of(event), event) for event in page.events)
                duplicates |= page.duplicates
        if reader.unreachable:
            raise StreamsUnavailable(reader.unreachable)
    positions = sorted((p for p in events if is_beyond(p, unsent.since)), key=lambda p: (p.entry_id, p.stream))
    return unsent.as_catch_up(
        tuple(render(events[p], view, is_duplicate=p in duplicates) for p in positions[-MISSED_ROWS:])
    )


def _parts(seen: EntryId, end: EntryId) -> list[tuple[EntryId, EntryId]]:
    """Return the ranges to read of a stream, each as (after, through).

    For a recreated stream these are the rest of the old stream in the log, and the whole new stream.
    """
    return [(seen, end)] if seen <= end else [(seen, EntryId.MAX), (EntryId.MIN, end)]


def _between(reader: Reader, filter: EventFilter, after: Position, through: EntryId) -> _MissedPart:
    first = reader.page(filter, after=after, oldest_first=True, limit=MISSED_COUNT_MAX)
    events = {Position.of(event): event for event in first.events if event.entry_id <= through}
    if first.newer is None or first.newer.entry_id > through:
        return _MissedPart(events, True, after, first.duplicates, _gaps(reader, after, through, first))
    newest = reader.page(filter, before=Position(through.next(), ""), limit=MISSED_ROWS)
    is_joined = bool(events) and any(Position.of(event) in events for event in newest.events)
    beyond = [event for event in newest.events if event.entry_id > after.entry_id]
    events.update((Position.of(event), event) for event in beyond)
    gaps = _gaps(reader, after, through, first, newest)
    return _MissedPart(events, is_joined, after, first.duplicates | newest.duplicates, gaps)


def _gaps(reader: Reader, after: Position, through: EntryId, *pages: EventPage) -> tuple[MissingEntries, ...]:
    """Return the known gaps of the range, then the entries removed before the log read them, if any."""
    unread = reader.removed_unread(after)
    recorded = [gap for page in pages for gap in page.gaps if after.entry_id < gap.last_id <= through]
    return tuple(dict.fromkeys([*recorded, *([unread] if unread else [])]))


def _in_stream(filter: EventFilter, stream: str) -> EventFilter | None:
    """Return the filter restricted to one stream; None if its conditions name only other streams."""
    named = [condition for condition in filter.conditions if condition.key == "stream" and not condition.negated]
    if named and not any(condition.accepts(stream) for condition in named):
        return None
    remaining = tuple(condition for condition in filter.conditions if condition not in named)
    return replace(filter, conditions=(*remaining, Condition("stream", stream)))
