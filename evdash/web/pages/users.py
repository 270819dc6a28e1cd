"""Users: by their last activity, newest first."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.reader import Reader
from evdash.eventlog.selections import ListPosition
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.summary_filter import SESSIONS, USERS, sessions_of_user
from evdash.events.summaries import UserSummary
from evdash.web.charts.calendar import Calendar, calendar, calendar_range
from evdash.web.error_pages import handles_invalid_query, not_found_page
from evdash.web.event_list.completeness import completeness
from evdash.web.event_list.list_query import ListQuery, Scope
from evdash.web.event_list.listing import listing
from evdash.web.event_list.pagination import newest
from evdash.web.links import user_sessions_address
from evdash.web.page import Notice, page
from evdash.web.pages.sessions import LIMITED
from evdash.web.summary_list.bar import summary_bar
from evdash.web.summary_list.query import SummaryListQuery
from evdash.web.summary_list.table import column_choices, columns_of, form_pairs, page_links, without_position


@handles_invalid_query
def users(request: HttpRequest) -> HttpResponse:
    """Render a page of the users of a filter."""
    query = SummaryListQuery.from_request(request, USERS)
    with open_reader() as reader:
        has_problem = query.filter.problem is not None
        found = None if has_problem else reader.users(query.selection, query.position)
        counts = None if has_problem else reader.user_counts(query.selection)
        newest_events = newest(reader)
    columns = columns_of(USERS, found.users if found else (), query)
    context = {
        "bar": summary_bar(query, counts),
        "rows": found.users if found else (),
        "columns": columns,
        "choices": column_choices(USERS, columns),
        "choice_pairs": form_pairs(query),
        "usual_columns": without_position(query) if query.columns else "",
        "links": page_links(query, found) if found else None,
        "is_filtered": bool(query.selection),
    }
    is_limited = found is not None and not found.is_complete
    return page(
        request,
        "pages/users.html",
        "Users",
        context,
        coverage=reader.coverage,
        events=newest_events,
        notices=[Notice(LIMITED.format("users"))] if is_limited else [],
        status=400 if has_problem else 200,
    )


SESSIONS_SHOWN: Final = 20


@handles_invalid_query
def user(request: HttpRequest, user_id: str) -> HttpResponse:
    """Render the user's events, oldest first, under the filter bar."""
    query = ListQuery.from_request(request, Scope("user", user_id), oldest_first=True)
    with open_reader() as reader:
        facts = reader.user(user_id)
        if facts is not None:
            shown = listing(reader, query, facts=facts, with_histogram=False)
            sessions = reader.sessions(sessions_of_user(user_id), ListPosition(limit=SESSIONS_SHOWN))
            days = _calendar(reader, facts, query)
    if facts is None:
        return not_found_page(request, reader, "user", user_id)
    context = {
        "facts": facts,
        "sessions": sessions,
        "session_columns": columns_of(SESSIONS, sessions.sessions, without="user"),
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
