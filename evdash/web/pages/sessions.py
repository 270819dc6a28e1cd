"""Sessions: by their last activity, newest first."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.web.error_pages import handles_invalid_query
from evdash.web.event_list.list_query import EntryCursorQuery
from evdash.web.event_list.pagination import newest
from evdash.web.page import page


@handles_invalid_query
def sessions(request: HttpRequest) -> HttpResponse:
    """Render a page of sessions; `user=` limits it to one user."""
    query = EntryCursorQuery.from_request(request)
    with open_reader() as reader:
        sessions_page = reader.sessions(before=query.before, after=query.after, user_id=query.user_id or None)
        newest_events = newest(reader)
    context = {
        "found": sessions_page,
        "user_id": query.user_id,
        "newer": query.url(after=sessions_page.newer) if sessions_page.newer else "",
        "older": query.url(before=sessions_page.older) if sessions_page.older else "",
        "newest": "" if query.is_beginning else query.url(),
    }
    return page(request, "pages/sessions.html", "Sessions", context, coverage=reader.coverage, events=newest_events)
