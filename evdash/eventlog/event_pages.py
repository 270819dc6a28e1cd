"""Pages of events: the log up to the watermark and the stream after it, as one list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from evdash.eventlog.event_query import LogQuery, log_query
from evdash.eventlog.gaps import gap_before, gaps_between
from evdash.eventlog.models import LoggedEvent
from evdash.eventlog.read_transaction import read_transaction
from evdash.eventlog.records import EventPage, MissingEntries, Position
from evdash.eventlog.row_mapping import ROW_COLUMNS, event_of_row
from evdash.eventlog.stream_deltas import StreamDeltas, originals
from evdash.eventlog.stream_tail import Direction, StreamPart
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.filters.event_filter import EventFilter

_BEGINNING = Position(EntryId.MIN, "")


@dataclass(frozen=True, slots=True)
class PageRange:
    """The requested part of a list: at most `limit` events next to a position, or at an end of the list."""

    before: Position | None
    after: Position | None
    oldest_first: bool
    limit: int

    @property
    def forward(self) -> bool:
        """True if the page is read from older to newer entries."""
        return self.after is not None or (self.oldest_first and self.before is None)

    @property
    def start(self) -> Position | None:
        """The position at which reading begins, itself excluded; None: the newest end."""
        return (self.after or _BEGINNING) if self.forward else self.before

    @property
    def edge(self) -> EntryId | None:
        """The entry ID from which the stream is read. The entry at the start itself is read as well."""
        if self.start is None:
            return None
        return self.start.entry_id.previous() if self.forward else self.start.entry_id.next()

    def ordered(
        self, positions: Iterable[Position], numbers: Mapping[str, int], stop: EntryId | None
    ) -> list[Position]:
        """Return the positions between the start and the stop, in the direction of reading."""

        def place(position: Position) -> tuple[EntryId, int]:
            return position.entry_id, numbers.get(position.stream, -1)

        kept = sorted(positions, key=place, reverse=not self.forward)
        if (start := self.start) is not None:
            kept = [p for p in kept if (place(p) > place(start) if self.forward else place(p) < place(start))]
        if stop is not None:
            kept = [p for p in kept if (p.entry_id <= stop if self.forward else p.entry_id >= stop)]
        return kept

    def after_stop(self, stop: EntryId | None) -> Position | None:
        """Return the position from which a search continues: past the entries of the stop's ID in all streams."""
        if stop is None:
            return None
        return Position(stop.next(), "") if self.forward else Position(stop, "")


def event_page(
    stream_part: StreamPart,
    numbers: Mapping[str, int],
    filter: EventFilter,
    now: datetime,
    deltas: StreamDeltas,
    *,
    before: Position | None,
    after: Position | None,
    oldest_first: bool,
    limit: int,
    reads_on: bool,
) -> EventPage:
    """Return at most `limit` events of the filter next to a position; see Reader.page.

    `deltas` are those of the reading in `stream_part`.
    `numbers` maps each stream to its number in the log, which orders equal entry IDs.
    """
    page_range = PageRange(before, after, oldest_first, limit)
    forward, start = page_range.forward, page_range.start
    # Both queries fetch one entry more than the page needs: the entry at the start itself may be among them.
    direction: Direction = "forward" if forward else "backward"
    window = stream_part.window(direction, page_range.edge, filter, now, deltas, limit=limit + 1, reads_on=reads_on)
    by_position = {Position.of(event): event for event in window.events}
    inheritance = deltas.inheritance
    with read_transaction():
        query = _beyond(log_query(filter, now), start, numbers, forward=forward)
        if inheritance.judges(filter):
            query = query.without_sessions(inheritance.relabelled_sessions)
            matches = filter.predicate(now)
            by_position |= {Position.of(row.now): row.now for row in inheritance.relabelled if matches(row.now)}
        bound = query.bound(newest_first=not forward)
        logged = map(inheritance.event, _rows(query, numbers, bound, forward, limit + 1))
        by_position.update((Position.of(event), event) for event in logged)

    nearest = min if forward else max
    stop = nearest((stop for stop in (window.stopped_at, bound) if stop is not None), default=None)
    ordered = page_range.ordered(by_position, numbers, stop)
    kept, more = ordered[:limit], len(ordered) > limit
    onward = kept[-1] if more else page_range.after_stop(stop)
    back = (kept[0] if kept else start) if before is not None or after is not None else None
    events = tuple(by_position[position] for position in (kept if forward == oldest_first else reversed(kept)))
    newer, older = (onward, back) if forward else (back, onward)
    return EventPage(
        events=events,
        newer=newer,
        older=older,
        searched_to=(stop.time if stop and not more else None),
        cursor=_known_through(window.newest, start if forward else None),
        duplicates=frozenset(originals(events, deltas)),
        gaps=_gaps(page_range, onward, events, filter, now, is_beginning=older is None),
    )


def _gaps(
    page_range: PageRange,
    onward: Position | None,
    events: tuple[Event, ...],
    filter: EventFilter,
    now: datetime,
    *,
    is_beginning: bool,
) -> tuple[MissingEntries, ...]:
    """Return the gaps of the page's range, in its order. `is_beginning`: no page with older events exists."""
    low, high = _range(page_range.start, onward, forward=page_range.forward)
    sessions = filter.values("session")
    if sessions:
        ends = (page_range.after, onward) if page_range.forward else (onward, page_range.before)
        low, high = _within(low, high, events, *ends)
    gaps = gaps_between(low, high, filter, now, oldest_first=page_range.oldest_first)
    if sessions and is_beginning and filter == EventFilter().also("session", sessions[0]):
        return (*_lost_beginning(events), *gaps) if page_range.oldest_first else (*gaps, *_lost_beginning(events))
    return gaps


def _known_through(newest: Mapping[str, EntryId], start: Position | None) -> Mapping[str, EntryId]:
    """Return the entry ID up to which each stream is known; at least the ID before the page's start."""
    before = start.entry_id.previous() if start else EntryId.MIN
    return {stream: max(entry_id, before) for stream, entry_id in newest.items()}


def _range(start: Position | None, onward: Position | None, *, forward: bool) -> tuple[EntryId, EntryId]:
    """Return the page's range of entry IDs: after the first one, up to and including the second one.

    The range extends from the requested start of the page to the start of the next page. Consecutive pages therefore
    leave no entry ID out.
    """
    begin = start.entry_id if start else None
    end = onward.entry_id if onward else None
    low, high = (begin, end) if forward else (end, begin)
    return low or EntryId.MIN, high or EntryId.MAX


def _within(
    low: EntryId, high: EntryId, events: tuple[Event, ...], begin: Position | None, end: Position | None
) -> tuple[EntryId, EntryId]:
    """Return the part of a range that is between the events of a session.

    A session is one run of events. It extends past the start or end of a page if another page precedes or follows.
    Otherwise it ends at its first or last event. The range is empty if there is no such event or page.
    """
    ids = [event.entry_id for event in events]
    first = begin.entry_id if begin else min(ids, default=None)
    last = end.entry_id if end else max(ids, default=None)
    if first is None or last is None:
        return EntryId.MAX, EntryId.MIN
    return max(low, first.previous()), min(high, last)


def _lost_beginning(events: tuple[Event, ...]) -> tuple[MissingEntries, ...]:
    """Return the gap that may contain a session's beginning; none if its first event is `session.started`."""
    first = min(events, key=lambda event: event.entry_id, default=None)
    return gap_before(first.stream, first.entry_id) if first and not type_of(first.type).starts_session else ()


def _beyond(query: LogQuery, start: Position | None, numbers: Mapping[str, int], *, forward: bool) -> LogQuery:
    """Restrict the query to the rows on the wanted side of the start."""
    if start is None:
        return query
    number = numbers.get(start.stream, -1)
    if forward:
        side, same = Q(entry_id__gte=start.entry_id), Q(entry_id=start.entry_id, stream_id__lte=number)
    else:
        side, same = Q(entry_id__lte=start.entry_id), Q(entry_id=start.entry_id, stream_id__gte=number)
    return LogQuery(query.indexed.filter(side).exclude(same), query.matching.filter(side).exclude(same), query.exact)


def _rows(query: LogQuery, numbers: Mapping[str, int], bound: EntryId | None, forward: bool, count: int) -> list[Event]:
    rows = query.matching
    if bound is not None:
        rows = rows.filter(entry_id__lte=bound) if forward else rows.filter(entry_id__gte=bound)
    order = ("entry_id", "stream_id") if forward else ("-entry_id", "-stream_id")
    return events_of(rows.order_by(*order)[:count], numbers)


def events_of(rows: QuerySet[LoggedEvent], numbers: Mapping[str, int]) -> list[Event]:
    """Return the events stored in these rows, in their order."""
    names = {number: name for name, number in numbers.items()}
    return [event_of_row(names, row) for row in rows.values_list(*ROW_COLUMNS)]
