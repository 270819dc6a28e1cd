"""Every event of a filter, oldest first: for exports and replays, which would rather fail than leave some out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from evdash.eventlog.opening import open_reader
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import EventPage, Position
from evdash.events.filter import EventFilter
from evdash.streams.budget import PAGE_BUDGET_S, redis_budget
from evdash.streams.client import StreamsUnavailable


def all_pages(filter: EventFilter, what: str, *, limit: int) -> Iterator[EventPage]:
    """The pages of the filter's events, up to `limit` on each, up to the newest event as it is now.

    Raises StreamsUnavailable at once, or in the middle, rather than end as if that were all; `what` names in its
    sentence what would not be complete.
    """
    with open_reader() as reader:
        # Nothing past the end as it is now: an export of a busy stream comes to an end, too.
        newest = reader.page(EventFilter(), limit=1).events
    if reader.unreachable:
        raise StreamsUnavailable(f"{what} now would not be complete. {reader.unreachable}")
    return _read_on(reader, filter, Position.of(newest[0]) if newest else None, what, limit)


def _read_on(reader: Reader, filter: EventFilter, end: Position | None, what: str, limit: int) -> Iterator[EventPage]:
    position: Position | None = None
    while end is not None:
        with redis_budget(PAGE_BUDGET_S):
            page = reader.page(filter, after=position, oldest_first=True, limit=limit)
        if reader.unreachable:
            raise StreamsUnavailable(f"{what} was broken off. {reader.unreachable}")
        events = tuple(event for event in page.events if event.entry_id <= end.entry_id)
        yield replace(page, events=events)
        if page.newer is None or len(events) < len(page.events):
            return
        position = page.newer
