"""Live: the newest events of the filter, and those that come."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.opening import open_reader
from evdash.web.listing import listing, question
from evdash.web.rendering import page
from evdash.web.views.answers import explains_bad_places


@explains_bad_places
def live(request: HttpRequest) -> HttpResponse:
    """The newest end; static/live.js adds what comes."""
    asking = question(request)
    with open_reader() as reader:
        shown = listing(reader, asking, with_histogram=False)
    return page(
        request,
        "events/live.html",
        "Live",
        {"listing": shown},
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )
