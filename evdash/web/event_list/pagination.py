"""Pagination by position, and lists of rows with the data that a live subscription continues from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import EventPage, InvalidPosition, Position
from evdash.events.entry import EntryId, InvalidEntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.web.event_display.calls import Calls
from evdash.web.event_display.gap_row import NO_OWNER, GapRow, ListOwner
from evdash.web.event_display.row import Row, ViewMode, fold_duplicates, rows_of, with_gaps

ROWS: Final = 100
# The limit with `rows=all`, which is for printing. An export is the means for more rows.
ROWS_AT_MOST: Final = 5_000


class InvalidQuery(ValueError):
    """An invalid page cursor in a request. The message is the sentence to show."""


@dataclass(frozen=True, slots=True)
class PageCursor:
    """The displayed part of a list of events: before or after a position, its far end, or else its beginning.

    A paused list shows its newest end without events newer than `paused`. `at` is an entry to show with the events
    around it.
    """

    before: Position | None = None
    after: Position | None = None
    is_far_end: bool = False
    paused: EntryId | None = None
    at: EntryId | None = None

    @property
    def is_beginning(self) -> bool:
        return self.before is None and self.after is None and self.at is None and not self.is_far_end


@dataclass(frozen=True, slots=True)
class ListEnd:
    """The continuation of a list: the position, and the address of the page that begins there."""

    position: Position
    address: str


@dataclass(frozen=True, slots=True)
class RowList:
    """The context of templates/event_list/_list.html. `live_query` is None if the list does not take new events."""

    rows: tuple[Row, ...]
    items: tuple[Row | GapRow, ...]  # the rows, and the gaps between them
    order: str
    values: str
    live_query: str | None
    live_cursor: str
    pulse_query: str | None = None  # set if new events do not belong in the list but change the part above it
    reading: ViewMode = "events"
    earlier: ListEnd | None = None  # continuations that the page inserts in place; None at an end of the list
    later: ListEnd | None = None


@dataclass(frozen=True, slots=True)
class Pager:
    """Links to the adjacent pages, "" for none, in reading order."""

    first: str
    previous: str
    next: str
    last: str
    previous_label: str
    next_label: str
    searched: str  # the sentence before "search on" if the search stopped at its bound, else ""
    search_on: str


def parse_cursor(params: Mapping[str, str]) -> PageCursor:
    """Return the page cursor from `before=`, `after=`, `end=1`, `paused=` and `at=`. Raises InvalidQuery."""
    before, after = params.get("before", ""), params.get("after", "")
    if before and after:
        raise InvalidQuery("Use before= or after=, not both.")
    try:
        return PageCursor(
            Position.parse(before) if before else None,
            Position.parse(after) if after else None,
            not before and not after and params.get("end") == "1",
            _entry_id(params, "paused"),
            _entry_id(params, "at") if not before and not after else None,
        )
    except InvalidPosition as error:
        raise InvalidQuery(f"{'before' if before else 'after'}= {error}.") from None


def _entry_id(params: Mapping[str, str], name: str) -> EntryId | None:
    try:
        return EntryId.parse(params[name]) if params.get(name) else None
    except InvalidEntryId as error:
        raise InvalidQuery(f"{name}= {error}.") from None


def parse_entry_cursor(params: Mapping[str, str]) -> tuple[EntryId | None, EntryId | None]:
    """Return `before=` and `after=` of lists that are ordered by last entry. Raises InvalidQuery."""
    before, after = params.get("before", ""), params.get("after", "")
    if before and after:
        raise InvalidQuery("Use before= or after=, not both.")
    try:
        return (EntryId.parse(before) if before else None, EntryId.parse(after) if after else None)
    except InvalidEntryId as error:
        raise InvalidQuery(f"{'before' if before else 'after'}= {error}.") from None


def row_list(
    page: EventPage,
    event_filter: EventFilter,
    place: PageCursor,
    whose: ListOwner = NO_OWNER,
    *,
    oldest_first: bool = False,
    reading: ViewMode = "events",
) -> RowList:
    """Return the rows of a page. The list is live if the page shows the newest end."""
    is_beginning = whose.noun == "session" and page.older is None
    first_id = min((event.entry_id for event in page.events), default=None) if is_beginning else None
    is_newest_end = page.newer is None and (oldest_first or place.is_beginning)
    rows = rows_of(page.events, page.duplicates)
    if event_filter.values("session") and oldest_first:
        rows = fold_duplicates(rows)
    return RowList(
        rows=rows,
        items=with_gaps(rows, page.gaps, whose, oldest_first=oldest_first, first_id=first_id),
        order="oldest-first" if oldest_first else "newest-first",
        values=json.dumps({"q": event_filter.text()}),
        live_query=event_filter.query_string() if is_newest_end else None,
        live_cursor=json.dumps({stream: str(entry_id) for stream, entry_id in page.cursor.items()}),
        reading=reading,
    )


def with_infinite_scroll(rows: RowList, page: EventPage, within: EventFilter, address: str, query: str) -> RowList:
    """Return the list with continuations at both ends, so that its page can load more rows in place."""
    return replace(
        rows,
        pulse_query=within.query_string() if rows.live_query is None else None,
        earlier=ListEnd(page.older, link(address, query, before=page.older)) if page.older else None,
        later=ListEnd(page.newer, link(address, query, after=page.newer)) if page.newer else None,
    )


def with_call_notes(rows: RowList, calls: Calls) -> RowList:
    """Return the list with the notes on the calls among its rows.

    Rows from live push lack such notes until the page refreshes (static/refresh.js), because their returns may follow.
    """

    def noted(row: Row) -> Row:
        note = calls.note(row.event)
        return replace(row, call_note=note) if note else row

    items = tuple(noted(item) if isinstance(item, Row) else item for item in rows.items)
    return replace(rows, rows=tuple(map(noted, rows.rows)), items=items)


def pager(page: EventPage, address: str, query: str, place: PageCursor, *, oldest_first: bool = False) -> Pager:
    """Return the links around a page of events. `query` is the query string of its filter."""
    newer = link(address, query, after=page.newer) if page.newer else ""
    older = link(address, query, before=page.older) if page.older else ""
    searched, search_on = "", ""
    if page.searched_to is not None:
        is_forward = place.after is not None or (place.before is None and oldest_first != place.is_far_end)
        way, search_on = ("forward to", newer) if is_forward else ("back to", older)
        searched = f"Searched {way} {page.searched_to:%Y-%m-%d %H:%M:%S} UTC."
    return Pager(
        first="" if place.is_beginning else link(address, query),
        previous=older if oldest_first else newer,
        next=newer if oldest_first else older,
        last=link(address, f"{query}&end=1" if query else "end=1") if (newer if oldest_first else older) else "",
        previous_label="Earlier" if oldest_first else "Newer",
        next_label="Later" if oldest_first else "Older",
        searched=searched,
        search_on=search_on,
    )


def link(
    address: str, query: str, *, before: Position | EntryId | None = None, after: Position | EntryId | None = None
) -> str:
    """Return the address with this query string, before or after a position."""
    parts = [query] if query else []
    if before is not None:
        parts.append(urlencode({"before": str(before)}))
    if after is not None:
        parts.append(urlencode({"after": str(after)}))
    return f"{address}{'&' if '?' in address else '?'}{'&'.join(parts)}" if parts else address


def newest(reader: Reader) -> tuple[Event, ...]:
    """Return the newest event as a tuple, empty if there is none.

    Pages that show sums and not events use it to state whether their data is a demonstration.
    """
    return reader.page(EventFilter(), limit=1).events


def parameters(query: QueryDict) -> Mapping[str, Sequence[str]]:
    """Return a query string in the form that EventFilter parses: the values of each name."""
    return {name: query.getlist(name) for name in query}
