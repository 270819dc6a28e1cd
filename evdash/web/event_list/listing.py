"""The list of events under the filter bar, shared by the events, errors, live, session and user pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Count, EventPage, Position
from evdash.events.entry import EntryId
from evdash.events.summaries import SessionSummary, UserSummary
from evdash.web.event_display.gap_row import list_owner
from evdash.web.event_list.breakdown_panel import BreakdownPanel, breakdown_panel
from evdash.web.event_list.filter_bar import FilterBar, filter_bar, summary_with_alternatives, without_errors_only
from evdash.web.event_list.jump import Jump, jumps, searched_id
from evdash.web.event_list.list_query import EVERYTHING, ListQuery
from evdash.web.event_list.pagination import Pager, RowList, pager, row_list, with_infinite_scroll
from evdash.web.event_list.printing import SHOW_ALL, WHOLE_TEXTS, print_sentence, with_printed_fields
from evdash.web.links import sandbox_operation_address


@dataclass(frozen=True, slots=True)
class Listing:
    """The context of templates/event_list/_listing.html."""

    bar: FilterBar
    list: RowList
    pager: Pager | None
    page: EventPage
    is_filtered: bool
    is_of_errors: bool = False  # the filter has errors only
    all_address: str = ""  # with whole texts of up to ROWS_AT_MOST rows, for printing; "" if newest first
    all_label: str = ""
    printed: str = ""  # the sentence on what a print of the page has
    replay_address: str = ""  # the form that copies the events into a sandbox
    breakdown: BreakdownPanel | None = None  # None: the list has neither breakdowns nor links to them
    jumps: tuple[Jump, ...] = ()  # pages with the ID that the filter consists of

    @property
    def status(self) -> int:
        """The HTTP status: 400 if the filter or the breakdown is invalid, else 200."""
        is_invalid = self.bar.problem or (self.breakdown and self.breakdown.problem)
        return 400 if is_invalid else 200


def listing(
    reader: Reader,
    query: ListQuery,
    *,
    facts: SessionSummary | UserSummary | None = None,
    streams: Sequence[str] | None = None,
    with_histogram: bool = True,
    with_breakdown: bool = True,
) -> Listing:
    """Return the list for a query. With an invalid filter the list is empty.

    `streams` are those to choose from, by default all. `facts` are the counts over all events of the page's scope.
    Without a user's filter they replace the summary's counts, which have an upper bound.
    """
    chosen, oldest_first = query.filter, query.oldest_first
    streams = reader.streams if streams is None else streams
    if chosen.problem:
        nothing = EventPage((), None, None, None, {})
        return Listing(
            filter_bar(query, streams=streams),
            replace(row_list(nothing, query), live_query=None),
            None,
            nothing,
            True,
        )
    page = _page(reader, query)
    summary = summary_with_alternatives(reader, chosen)
    if facts is not None and not chosen.own:
        summary = replace(summary, events=Count(facts.events), errors=Count(facts.errors))
    bar = filter_bar(
        query,
        streams=streams,
        summary=summary,
        of=without_errors_only(reader, chosen),
        with_histogram=with_histogram,
    )
    rows_shown = row_list(page, query, list_owner(reader, chosen.effective_filter, page.events, page.gaps))
    if oldest_first:
        rows_shown = with_infinite_scroll(rows_shown, page, query)
    has_more = page.newer or page.older or page.searched_to
    is_whole = False
    if query.shows_all:
        rows_shown, is_whole = with_printed_fields(rows_shown)
    return Listing(
        bar=replace(bar, has_live=rows_shown.live_query is not None or rows_shown.notify_query is not None),
        list=rows_shown,
        pager=pager(page, query),
        page=page,
        is_filtered=bool(chosen.own) or chosen.scope != EVERYTHING,
        is_of_errors=chosen.effective_filter.is_of_errors,
        all_address=query.url(shows_all=True) if oldest_first and not query.shows_all and page.events else "",
        all_label=SHOW_ALL if has_more else WHOLE_TEXTS,
        printed=print_sentence(page, query, summary.events, is_whole=is_whole),
        replay_address=sandbox_operation_address("replay", q=chosen.effective_filter.text()),
        breakdown=(
            breakdown_panel(reader, query, [facet.key for facet in bar.facets], page.events)
            if with_breakdown and (summary.events.value or query.by)
            else None
        ),
        jumps=jumps(reader, text) if (text := searched_id(chosen.own)) else (),
    )


def _page(reader: Reader, query: ListQuery) -> EventPage:
    within, cursor, oldest_first, rows = query.filter.effective_filter, query.cursor, query.oldest_first, query.rows
    if cursor.is_far_end:
        # The far end is the beginning of the list in the opposite order, reversed.
        page = reader.page(within, oldest_first=not oldest_first, limit=rows)
        return replace(page, events=page.events[::-1])
    if cursor.paused is not None and cursor.is_beginning and not oldest_first:
        return _as_it_was(reader.page(within, before=Position(cursor.paused.next(), ""), limit=rows), cursor.paused)
    if cursor.at is not None:
        return reader.around(within, cursor.at, oldest_first=oldest_first, limit=rows)
    if oldest_first and cursor.is_beginning:
        return reader.first_page(within, limit=rows)
    return reader.page(within, before=cursor.before, after=cursor.after, oldest_first=oldest_first, limit=rows)


def _as_it_was(page: EventPage, paused: EntryId) -> EventPage:
    """Return the newest end of a list at the time when `paused` was the newest entry. Live push adds newer events."""
    return replace(page, newer=None, cursor={stream: min(entry_id, paused) for stream, entry_id in page.cursor.items()})
