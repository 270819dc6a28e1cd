"""The rows of a page of a list, with the data that a live subscription continues from, and the links around it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import EventPage, Position
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.web.clocks import clocks_differ, redis_time
from evdash.web.event_display.calls import Calls, duration_of, status_of
from evdash.web.event_display.gap_row import NO_OWNER, GapRow, ListOwner
from evdash.web.event_display.row import OtherHalf, Row, ViewMode, fold_duplicates, rows_of, with_gaps
from evdash.web.event_list.list_query import ListQuery


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
    notify_query: str | None = None  # set if new events do not belong in the list but change the part above it
    view: ViewMode = "events"
    earlier: ListEnd | None = None  # continuations that the page inserts in place; None at an end of the list
    later: ListEnd | None = None

    @property
    def has_other_clock(self) -> bool:
        """True if the clocks of Redis and of the producer of a row differ."""
        return any(clocks_differ(row.event) for row in self.rows)

    @property
    def has_chosen_ids(self) -> bool:
        """True if a producer chose the entry ID of a row, which then shows the producer's time."""
        return any(redis_time(row.event.entry_id) is None for row in self.rows)


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


def row_list(page: EventPage, query: ListQuery, owner: ListOwner = NO_OWNER) -> RowList:
    """Return the rows of a page of the query's list. The list is live if the page shows the newest end."""
    within = query.filter.effective_filter
    is_beginning = owner.noun == "session" and page.older is None
    first_id = min((event.entry_id for event in page.events), default=None) if is_beginning else None
    is_newest_end = page.newer is None and (query.oldest_first or query.cursor.is_beginning)
    rows = rows_of(page.events, page.duplicates)
    if within.values("session") and query.oldest_first:
        rows = fold_duplicates(rows)
    return RowList(
        rows=rows,
        items=with_gaps(rows, page.gaps, owner, oldest_first=query.oldest_first, first_id=first_id),
        order="oldest-first" if query.oldest_first else "newest-first",
        values=json.dumps({"q": within.text()}),
        live_query=within.query_string() if is_newest_end else None,
        live_cursor=json.dumps({stream: str(entry_id) for stream, entry_id in page.cursor.items()}),
        view=query.view,
    )


def with_infinite_scroll(rows: RowList, page: EventPage, query: ListQuery) -> RowList:
    """Return the list with continuations at both ends, so that its page can load more rows in place."""
    return replace(
        rows,
        notify_query=query.filter.effective_filter.query_string() if rows.live_query is None else None,
        earlier=ListEnd(page.older, query.url(before=page.older)) if page.older else None,
        later=ListEnd(page.newer, query.url(after=page.newer)) if page.newer else None,
    )


def with_calls(rows: RowList, calls: Calls, page_around: Callable[[EntryId], str]) -> RowList:
    """Return the list with the notes on the calls among its rows; of a conversation, with each call as one card.

    A card has the ends of its calls that are among the rows. If only one half of a call is among them, its row names
    the other half; `page_around` returns the address of the page around an event. Rows from live push lack notes, and
    returns among them are rows of their own, until the page refreshes (static/refresh.js), because a row does not know
    the others.
    """
    noted = {Position.of(row.event): replace(row, call_note=calls.note(row.event)) for row in rows.rows}
    in_cards = _join(noted, calls, page_around) if rows.view == "conversation" else frozenset()
    items = tuple(
        noted[Position.of(item.event)] if isinstance(item, Row) else item
        for item in rows.items
        if isinstance(item, GapRow) or Position.of(item.event) not in in_cards
    )
    return replace(rows, rows=tuple(noted.values()), items=items)


def _join(rows: dict[Position, Row], calls: Calls, page_around: Callable[[EntryId], str]) -> frozenset[Position]:
    """Write status, duration, returns and other halves into the rows. Return the positions of these returns."""
    ends = calls.ends()
    several = Counter(Position.of(end) for each in ends.values() for end in each)
    in_cards = set[Position]()
    for position, row in rows.items():
        own = ends.get(position, ())
        if row.is_call and not row.is_duplicate:
            status = status_of(row.event, own[0] if own else None, row.call_note)
            rows[position] = replace(
                row, call_status=status, call_duration=duration_of(row.event, own[0]) if own else ""
            )
        for end in own:
            place = Position.of(end)
            # An end of calls of several rows, or one that states calls itself, is a row of its own.
            if place in rows and place != position and several[place] == 1 and place not in ends:
                back = replace(rows[place], is_of_card=True)
                if not row.is_call:
                    back = replace(
                        back, call_status=status_of(row.event, end), call_duration=duration_of(row.event, end)
                    )
                rows[position] = replace(rows[position], returns=(*rows[position].returns, back))
                in_cards.add(place)
    for call, end in calls.ended:
        for event, other in ((call, end), (end, call)):
            position = Position.of(event)
            if position in rows and Position.of(other) not in rows:
                half = OtherHalf(other, other is call, page_around(other.entry_id))
                rows[position] = replace(rows[position], other_halves=(*rows[position].other_halves, half))
    return frozenset(in_cards)


def pager(page: EventPage, query: ListQuery) -> Pager:
    """Return the links around a page of the query's list."""
    cursor, oldest_first = query.cursor, query.oldest_first
    newer = query.url(after=page.newer) if page.newer else ""
    older = query.url(before=page.older) if page.older else ""
    searched, search_on = "", ""
    if page.searched_to is not None:
        is_forward = cursor.after is not None or (cursor.before is None and oldest_first != cursor.is_far_end)
        way, search_on = ("forward to", newer) if is_forward else ("back to", older)
        searched = f"Searched {way} {page.searched_to:%Y-%m-%d %H:%M:%S} UTC."
    return Pager(
        first="" if cursor.is_beginning else query.url(),
        previous=older if oldest_first else newer,
        next=newer if oldest_first else older,
        last=query.url(at_end=True) if (newer if oldest_first else older) else "",
        previous_label="Earlier" if oldest_first else "Newer",
        next_label="Later" if oldest_first else "Older",
        searched=searched,
        search_on=search_on,
    )


def newest(reader: Reader) -> tuple[Event, ...]:
    """Return the newest event as a tuple, empty if there is none.

    Pages that show sums and not events use it to state whether their data is a demonstration.
    """
    return reader.page(EventFilter(), limit=1).events
