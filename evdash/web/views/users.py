"""Users: by their last activity, newest first."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.opening import open_reader
from evdash.web.addresses import page_address
from evdash.web.paging import entry_place_of, link, newest
from evdash.web.rendering import page
from evdash.web.views.answers import explains_bad_places


@explains_bad_places
def users(request: HttpRequest) -> HttpResponse:
    """A page of users."""
    before, after = entry_place_of(request.GET.dict())
    with open_reader() as reader:
        found = reader.users(before=before, after=after)
        newest_events = newest(reader)
    context = {
        "found": found,
        "newer": link(page_address(request), "", after=found.newer) if found.newer else "",
        "older": link(page_address(request), "", before=found.older) if found.older else "",
        "newest": page_address(request) if before or after else "",
    }
    return page(request, "users/page.html", "Users", context, coverage=reader.coverage, events=newest_events)
