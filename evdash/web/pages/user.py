"""The page of one user: everything that agents did for the user, in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.reader import Reader
from evdash.eventlog.selections import ListPosition
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.summary_filter import SESSIONS, sessions_of_user
from evdash.web.charts.calendar import Calendar, calendar
from evdash.web.error_pages import handles_invalid_query, not_found_page
from evdash.web.event_list.completeness import completeness
from evdash.web.event_list.filter_bar import Facet, filter_bar
from evdash.web.event_list.list_query import ListQuery, Scope, ScopedFilter
from evdash.web.event_list.listing import Listing, listing
from evdash.web.links import filtered_address, user_address, user_sessions_address
from evdash.web.page import page
from evdash.web.summary_list.table import columns_of

SESSIONS_SHOWN: Final = 20
PROPERTIES: Final = ("agent", "model", "tool")
"""The facets whose values the header of the user's page has."""


@dataclass(frozen=True, slots=True)
class UserExports:
    """The addresses of the files with all events of a user."""

    html: str
    ndjson: str
    csv: str


def _exports(user_id: str) -> UserExports:
    own = EventFilter().also("user", user_id)
    html = f"{user_address(user_id)}export.html"
    return UserExports(html, filtered_address("events-ndjson", own), filtered_address("events-csv", own))


@handles_invalid_query
def user(request: HttpRequest, user_id: str) -> HttpResponse:
    """Render the user's events, oldest first, under the filter bar."""
    query = ListQuery.from_request(request, Scope("user", user_id), oldest_first=True)
    with open_reader() as reader:
        facts = reader.user(user_id)
        if facts is not None:
            shown = listing(reader, query, facts=facts, with_histogram=False)
            sessions = reader.sessions(sessions_of_user(user_id), ListPosition(limit=SESSIONS_SHOWN))
            days = _calendar(reader, user_id, query)
            properties = _properties(reader, query, shown)
    if facts is None:
        return not_found_page(request, reader, "user", user_id)
    context = {
        "facts": facts,
        "sessions": sessions,
        "session_columns": columns_of(SESSIONS, sessions.sessions, without="user"),
        "sessions_address": user_sessions_address(user_id),
        "calendar": days,
        "properties": properties,
        "exports": _exports(user_id),
        "completeness": completeness(facts, reader.coverage, reader.total_missing()),
        "listing": shown,
    }
    return page(
        request,
        "pages/user.html",
        user_id,
        context,
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )


def _calendar(reader: Reader, user_id: str, query: ListQuery) -> Calendar | None:
    def of_day(day: date) -> str:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return query.url(EventFilter().between(start, start + timedelta(days=1)))

    # A producer may write any year.
    return calendar(reader.user_days(user_id, date.min, date.max - timedelta(days=1)), of_day)


def _properties(reader: Reader, query: ListQuery, shown: Listing) -> tuple[Facet, ...]:
    """Return agents, models and tools of the user's newest events, under whatever filter the list has."""
    facets = shown.bar.facets
    if query.filter.own:
        unfiltered = replace(query, filter=ScopedFilter(EventFilter(), query.filter.scope))
        summary = reader.summary(unfiltered.filter.effective_filter)
        facets = filter_bar(unfiltered, streams=reader.streams, summary=summary, with_histogram=False).facets
    by_key = {facet.key: facet for facet in facets}
    return tuple(by_key[key] for key in PROPERTIES if key in by_key)
