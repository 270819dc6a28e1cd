"""Sessions: by their last activity, newest first."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.web.error_pages import handles_invalid_query
from evdash.web.event_list.pagination import link, newest, parse_entry_cursor
from evdash.web.links import page_address
from evdash.web.page import page


@handles_invalid_query
def sessions(request: HttpRequest) -> HttpResponse:
    """Render a page of sessions; `user=` limits it to one user."""
    before, after = parse_entry_cursor(request.GET.dict())
    user_id = request.GET.get("user", "")
    with open_reader() as reader:
        found = reader.sessions(before=before, after=after, user_id=user_id or None)
        newest_events = newest(reader)
    query = urlencode({"user": user_id}) if user_id else ""
    context = {
        "found": found,
        "user_id": user_id,
        "newer": link(page_address(request), query, after=found.newer) if found.newer else "",
        "older": link(page_address(request), query, before=found.older) if found.older else "",
        "newest": link(page_address(request), query) if before or after else "",
    }
    return page(request, "pages/sessions.html", "Sessions", context, coverage=reader.coverage, events=newest_events)
