"""Errors: the events that are errors."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from evdash.eventlog.error_groups import ErrorGroupRecord
from evdash.eventlog.opening import open_reader
from evdash.events.conditions import TEXT
from evdash.events.filter import EventFilter
from evdash.web.asked import ERRORS
from evdash.web.listing import listing, question
from evdash.web.paging import link
from evdash.web.rendering import page
from evdash.web.views.answers import explains_bad_places

GROUPS_SHOWN = 8


@explains_bad_places
def errors(request: HttpRequest) -> HttpResponse:
    """The errors of the filter, newest first."""
    asking = question(request, ERRORS)
    with open_reader() as reader:
        shown = listing(reader, asking)
        groups = reader.error_groups()
    wants_all = request.GET.get("groups") == "all"
    return page(
        request,
        "events/page.html",
        "Errors",
        {
            "listing": shown,
            "groups": len(groups),
            "error_groups": [(group, _address(group)) for group in groups[: None if wants_all else GROUPS_SHOWN]],
        },
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )


def _address(group: ErrorGroupRecord) -> str:
    """The errors that are surely of the group and those that look like it: what its events have in common."""
    alike = EventFilter()
    for key, value in (("type", group.type), ("code", group.code), ("tool", group.tool)):
        if value:
            alike = alike.also(key, value)
    words = max(group.masked.split("<"), key=len).partition(">")[2] or group.masked.partition("<")[0]
    if words.strip():
        alike = alike.also(TEXT, words.strip())
    return link(reverse("errors"), alike.query_string())
