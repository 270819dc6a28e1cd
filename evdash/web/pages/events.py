"""Events: the lists of all events and of live events, each with the full filter bar."""

from __future__ import annotations

from dataclasses import replace

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.web.error_pages import handles_invalid_query
from evdash.web.event_list.filter_bar import BarLink
from evdash.web.event_list.list_query import TAIL_ROWS, ListQuery
from evdash.web.event_list.listing import listing
from evdash.web.page import page


@handles_invalid_query
def events(request: HttpRequest) -> HttpResponse:
    """Render the events of the filter, newest first."""
    query = ListQuery.from_request(request)
    with open_reader() as reader:
        shown = listing(reader, query)
    return page(
        request,
        "pages/events.html",
        "Events",
        {"listing": shown},
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )


@handles_invalid_query
def live(request: HttpRequest) -> HttpResponse:
    """Render the newest events of the filter; static/live.js adds later ones."""
    query = ListQuery.from_request(request, row_counts=TAIL_ROWS)
    with open_reader() as reader:
        shown = listing(reader, query, with_histogram=False, with_breakdown=False)
    # A tail has no end to look back from. A range in its address is a condition that can be removed.
    row_counts = tuple(BarLink(f"{rows:,}", query.with_rows(rows).url(), rows == query.rows) for rows in TAIL_ROWS)
    shown = replace(shown, bar=replace(shown.bar, ranges=(), facets=(), row_counts=row_counts))
    return page(
        request,
        "pages/live.html",
        "Live",
        {"listing": shown},
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )
