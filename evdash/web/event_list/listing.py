"""The list of events under the filter bar, shared by the events, errors, live, session and user pages."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.http import HttpRequest

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Count, EventPage, Position
from evdash.events.entry import EntryId
from evdash.events.summaries import SessionSummary, UserSummary
from evdash.web.event_display.gap_row import list_owner
from evdash.web.event_display.row import ViewMode
from evdash.web.event_list.filter_bar import FilterBar, filter_bar, summary_with_alternatives, without_errors_only
from evdash.web.event_list.list_query import EVERYTHING, Scope, ScopedFilter, parse_filter
from evdash.web.event_list.pagination import (
    ROWS,
    ROWS_AT_MOST,
    PageCursor,
    Pager,
    RowList,
    link,
    pager,
    parse_cursor,
    row_list,
    with_infinite_scroll,
)
from evdash.web.links import page_address, sandbox_operation_address


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A request's list query: the filter, the page cursor, the order and the view mode."""

    asked: ScopedFilter
    place: PageCursor
    address: str
    oldest_first: bool = False
    rows: int = ROWS
    reading: ViewMode = "events"


@dataclass(frozen=True, slots=True)
class Listing:
    """The context of templates/event_list/_listing.html."""

    bar: FilterBar
    list: RowList
    pager: Pager | None
    page: EventPage
    is_filtered: bool
    all_address: str = ""  # with up to ROWS_AT_MOST rows, for printing; "" if newest first or without further rows
    replay_address: str = ""  # the form that copies the events into a sandbox

    @property
    def status(self) -> int:
        """The HTTP status: 400 if the filter is invalid, else 200."""
        return 400 if self.bar.problem else 200


def list_query(
    request: HttpRequest, scope: Scope = EVERYTHING, *, oldest_first: bool = False, reading: ViewMode = "events"
) -> ListQuery:
    """Return the list query of a request. Raises InvalidQuery for an invalid page cursor."""
    rows = ROWS_AT_MOST if request.GET.get("rows") == "all" else ROWS
    address = page_address(request) if reading == "events" else f"{page_address(request)}?view={reading}"
    return ListQuery(
        parse_filter(request.GET, scope), parse_cursor(request.GET.dict()), address, oldest_first, rows, reading
    )


def listing(
    reader: Reader,
    asking: ListQuery,
    *,
    facts: SessionSummary | UserSummary | None = None,
    with_histogram: bool = True,
) -> Listing:
    """Return the list for a query. With an invalid filter the list is empty.

    `facts` are the counts over all events of the page's scope. Without a user's filter they replace the summary's
    counts, which have an upper bound.
    """
    asked, place, address, oldest_first = asking.asked, asking.place, asking.address, asking.oldest_first
    if asked.problem:
        nothing = EventPage((), None, None, None, {})
        return Listing(
            filter_bar(asked, address, streams=reader.streams),
            replace(row_list(nothing, asked.effective_filter, place), live_query=None),
            None,
            nothing,
            True,
        )
    found = _page(reader, asking)
    summary = summary_with_alternatives(reader, asked)
    if facts is not None and not asked.own:
        summary = replace(summary, events=Count(facts.events), errors=Count(facts.errors))
    bar = filter_bar(
        asked,
        address,
        streams=reader.streams,
        summary=summary,
        of=without_errors_only(reader, asked),
        with_histogram=with_histogram,
    )
    own = asked.own.query_string()
    of_whom = list_owner(reader, asked.effective_filter, found.events, found.gaps)
    rows_shown = row_list(
        found, asked.effective_filter, place, of_whom, oldest_first=oldest_first, reading=asking.reading
    )
    if oldest_first:
        rows_shown = with_infinite_scroll(rows_shown, found, asked.effective_filter, address, own)
    return Listing(
        bar=replace(bar, has_live=rows_shown.live_query is not None or rows_shown.pulse_query is not None),
        list=rows_shown,
        pager=pager(found, address, own, place, oldest_first=oldest_first),
        page=found,
        is_filtered=bool(asked.own) or asked.scope != EVERYTHING,
        all_address=link(address, f"{own}&rows=all" if own else "rows=all")
        if oldest_first and asking.rows == ROWS and (found.newer or found.older)
        else "",
        replay_address=sandbox_operation_address("replay", q=asked.effective_filter.text()),
    )


def _page(reader: Reader, asking: ListQuery) -> EventPage:
    within, place, oldest_first, rows = asking.asked.effective_filter, asking.place, asking.oldest_first, asking.rows
    if place.is_far_end:
        # The far end is the beginning of the list in the opposite order, reversed.
        found = reader.page(within, oldest_first=not oldest_first, limit=rows)
        return replace(found, events=found.events[::-1])
    if place.paused is not None and place.is_beginning and not oldest_first:
        return _as_it_was(reader.page(within, before=Position(place.paused.next(), ""), limit=rows), place.paused)
    if place.at is not None:
        return reader.around(within, place.at, oldest_first=oldest_first, limit=rows)
    if oldest_first and place.is_beginning:
        return reader.first_page(within, limit=rows)
    return reader.page(within, before=place.before, after=place.after, oldest_first=oldest_first, limit=rows)


def _as_it_was(page: EventPage, paused: EntryId) -> EventPage:
    """Return the newest end of a list at the time when `paused` was the newest entry. Live push adds newer events."""
    return replace(page, newer=None, cursor={stream: min(known, paused) for stream, known in page.cursor.items()})
