"""A sandbox: where its entries came from, and its events, by themselves."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from evdash.accounts.roles import can_operate
from evdash.streams.client import StreamsUnavailable, open_client
from evdash.web.filter_bar import asked_filter
from evdash.web.paging import entry_place_of
from evdash.web.rendering import page
from evdash.web.sandboxes import sandbox_page, sandbox_view
from evdash.web.views.answers import explains_bad_places, said


@explains_bad_places
def sandbox(request: HttpRequest, stream: str) -> HttpResponse:
    """The sandbox's entries in their order, under the filter bar."""
    asked, after = asked_filter(request.GET), entry_place_of(request.GET.dict())[1]
    with open_client(settings.EVDASH.redis_url) as client:
        try:
            shown = sandbox_view(client, stream)
            if shown is None:
                sentence = "There is no such sandbox: it was never made, was deleted, or has expired."
                return said(request, "No such sandbox", sentence, status=404, subject=stream)
            found = sandbox_page(client, stream, asked, after)
        except StreamsUnavailable as outage:
            return said(request, "Sandbox", str(outage), status=503)
    context = {
        "sandbox": shown,
        "listing": found.listing,
        "timeline": found.timeline,
        "timeline_note": found.timeline_note,
        "can_operate": can_operate(request.user),
    }
    events = found.listing.page.events
    return page(request, "streams/sandbox.html", stream, context, events=events, status=found.listing.status)
