"""Users: by their last activity, newest first."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.reader import Reader
from evdash.events.filters.event_filter import EventFilter
from evdash.events.summaries import UserSummary
from evdash.web.charts.calendar import Calendar, calendar, calendar_range
from evdash.web.error_pages import handles_invalid_query, not_found_page
from evdash.web.event_list.completeness import completeness
from evdash.web.event_list.list_query import Scope
from evdash.web.event_list.listing import list_query, listing
from evdash.web.event_list.pagination import link, newest, parse_entry_cursor
from evdash.web.links import page_address
from evdash.web.page import page


@handles_invalid_query
def users(request: HttpRequest) -> HttpResponse:
    """Render a page of users."""
    before, after = parse_entry_cursor(request.GET.dict())
    with open_reader() as reader:
        found = reader.users(before=before, after=after)
        newest_events = newest(reader)
    context = {
        "found": found,
        "newer": link(page_address(request), "", after=found.newer) if found.newer else "",
        "older": link(page_address(request), "", before=found.older) if found.older else "",
        "newest": page_address(request) if before or after else "",
    }
    return page(request, "pages/users.html", "Users", context, coverage=reader.coverage, events=newest_events)


SESSIONS = 20


@handles_invalid_query
def user(request: HttpRequest, user_id: str) -> HttpResponse:
    """Render the user's events, oldest first, under the filter bar."""
    asking = list_query(request, Scope("user", user_id), oldest_first=True)
    with open_reader() as reader:
        facts = reader.user(user_id)
        if facts is not None:
            shown = listing(reader, asking, facts=facts, with_histogram=False)
            sessions = reader.sessions(user_id=user_id, limit=SESSIONS)
            days = _calendar(reader, facts, asking.address)
    if facts is None:
        return not_found_page(request, reader, "user", user_id)
    context = {
        "facts": facts,
        "sessions": sessions,
        "sessions_address": f"{reverse('sessions')}?{urlencode({'user': user_id})}",
        "calendar": days,
        "completeness": completeness(facts, reader.coverage, reader.total_missing()),
        "listing": shown,
        "printed_at": datetime.now(UTC),
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


def _calendar(reader: Reader, facts: UserSummary, address: str) -> Calendar:
    # A producer may write any year. The calendar ends today, or on the user's last day if that is earlier.
    since, until = calendar_range(min(datetime.now(UTC), facts.last_at).date())

    def of_day(day: date) -> str:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return link(address, EventFilter().between(start, start + timedelta(days=1)).query_string())

    return calendar(reader.user_days(facts.user_id, since, until), since, until, of_day)
