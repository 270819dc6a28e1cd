"""Users: by their last activity, newest first."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.summaries import COUNT_MAX
from evdash.web.error_pages import handles_invalid_query
from evdash.web.event_list.list_query import EntryCursorQuery
from evdash.web.event_list.pagination import newest
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
