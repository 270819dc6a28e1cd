"""Users: by their last activity, newest first."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.reader import Reader
from evdash.eventlog.summaries import COUNT_MAX
from evdash.events.filters.event_filter import EventFilter
from evdash.events.summaries import UserSummary
from evdash.web.charts.calendar import Calendar, calendar, calendar_range
from evdash.web.error_pages import handles_invalid_query, not_found_page
from evdash.web.event_list.completeness import completeness
from evdash.web.event_list.list_query import EntryCursorQuery, ListQuery, Scope
from evdash.web.event_list.listing import listing
from evdash.web.event_list.pagination import newest
from evdash.web.links import user_sessions_address
from evdash.web.page import Notice, page


@handles_invalid_query
def users(request: HttpRequest) -> HttpResponse:
    """Render a page of users; `since=` and `until=` limit it to a time range."""
    query = EntryCursorQuery.from_request(request)
    since, until = query.times(datetime.now(UTC))
    with open_reader() as reader:
        users_page = reader.users(before=query.before, after=query.after, since=since, until=until)
        newest_events = newest(reader)
    context = {
        "found": users_page,
        "chips": query.chips,
        "newer": query.url(after=users_page.newer) if users_page.newer else "",
        "older": query.url(before=users_page.older) if users_page.older else "",
        "newest": "" if query.is_beginning else query.url(),
    }
    return page(
        request,
        "pages/users.html",
        "Users",
        context,
        coverage=reader.coverage,
        events=newest_events,
        notices=[] if users_page.is_complete else [Notice(f"Showing {COUNT_MAX:,} users of this range at most.")],
    )


SESSIONS = 20


@handles_invalid_query
def user(request: HttpRequest, user_id: str) -> HttpResponse:
    """Render the user's events, oldest first, under the filter bar."""
    query = ListQuery.from_request(request, Scope("user", user_id), oldest_first=True)
    with open_reader() as reader:
        facts = reader.user(user_id)
        if facts is not None:
            shown = listing(reader, query, facts=facts, with_histogram=False)
            sessions = reader.sessions(user_id=user_id, limit=SESSIONS)
            days = _calendar(reader, facts, query)
    if facts is None:
        return not_found_page(request, reader, "user", user_id)
    context = {
        "facts": facts,
        "sessions": sessions,
        "sessions_address": user_sessions_address(user_id),
        "calendar": days,
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


def _calendar(reader: Reader, facts: UserSummary, query: ListQuery) -> Calendar:
    # A producer may write any year. The calendar ends today, or on the user's last day if that is earlier.
    since, until = calendar_range(min(datetime.now(UTC), facts.last_at).date())

    def of_day(day: date) -> str:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return query.url(EventFilter().between(start, start + timedelta(days=1)))

    return calendar(reader.user_days(facts.user_id, since, until), since, until, of_day)
