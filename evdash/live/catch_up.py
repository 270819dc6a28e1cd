"""Reading what a page missed between its cursor and now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from evdash.eventlog.reader import Reader, open_reader
from evdash.eventlog.records import MissingEntries, Position
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.filter import Condition, EventFilter
from evdash.live.frames import Cursor, Render, is_beyond, later
from evdash.live.subscription import Missed, Unsent
from evdash.streams.client import StreamsUnavailable
from evdash.web.rows import render_gap

# A page that missed more is given the newest so many and a link to the rest, which are counted up to a bound.
MISSED_ROWS = 100
MISSED_COUNT_MAX = 1_000


@dataclass(frozen=True, slots=True)
class _Found:
    """What one stream has beyond the cursor."""

    events: Mapping[Position, Event]
    through: EntryId  # everything up to here was seen
    is_all: bool  # False: there are more between the events
    gaps: tuple[MissingEntries, ...] = ()


def missed(filter: EventFilter, cursor: Cursor, render: Render) -> Missed:
    """What matches the filter beyond the cursor, of the streams that the cursor names.

    Blocks: for a thread. Raises StreamsUnavailable: what lies in the stream only would be missing.
    """
    with open_reader() as reader:
        by_stream = {stream: _found(reader, filter, Position(seen, stream)) for stream, seen in cursor.items()}
        if reader.unreachable:
            raise StreamsUnavailable(reader.unreachable)
    events = {position: event for found in by_stream.values() for position, event in found.events.items()}
    ordered = sorted(events, key=lambda position: (position.entry_id, position.stream))
    shown = ordered[-MISSED_ROWS:]
    # Gaps among what is skipped are shown when that is loaded.
    from_id = shown[0].entry_id if len(shown) < len(ordered) else EntryId.MIN
    gaps = [gap for found in by_stream.values() for gap in found.gaps if gap.last_id >= from_id]
    items = [(position.entry_id, 1, render(events[position])) for position in shown]
    items += [(gap.last_id, 0, render_gap(gap)) for gap in gaps]
    starts = [
        Position(cursor[stream], stream) for stream, found in by_stream.items() if found.events or not found.is_all
    ]
    return Missed(
        rows=tuple(html for _, _, html in sorted(items, key=lambda item: item[:2])),
        cursor=later(cursor, {stream: found.through for stream, found in by_stream.items()}),
        start=min(starts, key=lambda position: position.entry_id, default=Position(EntryId.MIN, "")),
        skipped=len(ordered) - len(shown),
        is_exact=all(found.is_all for found in by_stream.values()),
        gaps=len(gaps),
    )


def newest_unsent(filter: EventFilter, unsent: Unsent, render: Render) -> Missed:
    """The newest of what was only counted. Blocks: for a thread. Raises StreamsUnavailable."""
    events: dict[Position, Event] = {}
    with open_reader() as reader:
        for stream, through in unsent.through.items():
            wanted = _in_stream(filter, stream)
            if wanted is not None:
                page = reader.page(wanted, before=Position(through.next(), ""), limit=MISSED_ROWS)
                events.update((Position.of(event), event) for event in page.events)
        if reader.unreachable:
            raise StreamsUnavailable(reader.unreachable)
    found = sorted((p for p in events if is_beyond(p, unsent.since)), key=lambda p: (p.entry_id, p.stream))
    return unsent.shown_by(tuple(render(events[position]) for position in found[-MISSED_ROWS:]))


def _found(reader: Reader, filter: EventFilter, seen: Position) -> _Found:
    wanted = _in_stream(filter, seen.stream)
    if wanted is None:
        return _Found({}, seen.entry_id, is_all=True)
    first = reader.page(wanted, after=seen, oldest_first=True, limit=MISSED_COUNT_MAX)
    events = {Position.of(event): event for event in first.events}
    unread = reader.removed_unread(seen)
    gaps = dict.fromkeys((*first.gaps, *((unread,) if unread else ())))
    if first.newer is None:
        return _Found(events, first.cursor.get(seen.stream, seen.entry_id), is_all=True, gaps=tuple(gaps))
    newest = reader.page(wanted, limit=MISSED_ROWS)
    is_joined = bool(events) and any(Position.of(event) in events for event in newest.events)
    beyond = [event for event in newest.events if is_beyond(Position.of(event), {seen.stream: seen.entry_id})]
    events.update((Position.of(event), event) for event in beyond)
    gaps.update((gap, None) for gap in newest.gaps if gap.last_id > seen.entry_id)
    return _Found(events, newest.cursor.get(seen.stream, seen.entry_id), is_all=is_joined, gaps=tuple(gaps))


def _in_stream(filter: EventFilter, stream: str) -> EventFilter | None:
    """The filter within one stream; None when it excludes the stream."""
    named = [condition for condition in filter.conditions if condition.key == "stream" and not condition.negated]
    if named and not any(_names(condition, stream) for condition in named):
        return None
    others = tuple(condition for condition in filter.conditions if condition not in named)
    return replace(filter, conditions=(*others, Condition("stream", stream)))


def _names(condition: Condition, stream: str) -> bool:
    return stream.startswith(condition.value) if condition.prefix else stream == condition.value
