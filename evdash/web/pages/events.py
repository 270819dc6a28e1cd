"""Events: the lists of all events, of live events and of errors, each with the full filter bar."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.error_groups import ErrorGroupRecord
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import TEXT
from evdash.web.error_pages import handles_invalid_query
from evdash.web.event_list.list_query import ERRORS
from evdash.web.event_list.listing import list_query, listing
from evdash.web.event_list.pagination import link
from evdash.web.page import page


@handles_invalid_query
def events(request: HttpRequest) -> HttpResponse:
    """Render the events of the filter, newest first."""
    asking = list_query(request)
    with open_reader() as reader:
        shown = listing(reader, asking)
    return page(
        request,
        "pages/events.html",
        "Events",
        {"listing": shown},
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )


@handles_invalid_query
def live(request: HttpRequest) -> HttpResponse:
    """Render the newest events of the filter; static/live.js adds later ones."""
    asking = list_query(request)
    with open_reader() as reader:
        shown = listing(reader, asking, with_histogram=False)
    return page(
        request,
        "pages/live.html",
        "Live",
        {"listing": shown},
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )


GROUPS_SHOWN = 8


@handles_invalid_query
def errors(request: HttpRequest) -> HttpResponse:
    """Render the errors of the filter, newest first."""
    asking = list_query(request, ERRORS)
    with open_reader() as reader:
        shown = listing(reader, asking)
        groups = reader.error_groups()
    wants_all = request.GET.get("groups") == "all"
    return page(
        request,
        "pages/events.html",
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
    """Return the address of the errors with the group's type, code, tool and the longest fixed part of its text.

    They include all errors of the group, and others that are similar.
    """
    alike = EventFilter()
    for key, value in (("type", group.type), ("code", group.code), ("tool", group.tool)):
        if value:
            alike = alike.also(key, value)
    words = max(group.masked.split("<"), key=len).partition(">")[2] or group.masked.partition("<")[0]
    if words.strip():
        alike = alike.also(TEXT, words.strip())
    return link(reverse("errors"), alike.query_string())
