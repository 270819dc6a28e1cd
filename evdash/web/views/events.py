"""Events: every event under the whole filter bar."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.opening import open_reader
from evdash.web.listing import listing, question
from evdash.web.rendering import page
from evdash.web.views.answers import explains_bad_places


@explains_bad_places
def events(request: HttpRequest) -> HttpResponse:
    """All events of the filter, newest first."""
    asking = question(request)
    with open_reader() as reader:
        shown = listing(reader, asking)
    return page(
        request,
        "events/page.html",
        "Events",
        {"listing": shown},
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )
