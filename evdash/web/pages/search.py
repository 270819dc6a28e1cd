"""Search: the box of the top bar opens what has the ID, and else lists the events with the text."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from evdash.eventlog.current_reader import open_reader
from evdash.web.event_list.jump import id_in, jumps
from evdash.web.links import list_address, with_query


def search(request: HttpRequest) -> HttpResponse:
    """Redirect to the session, user, entry or event with the ID in `q`, or to the events of the filter in `q`."""
    query = request.GET.get("q", "")
    if text := id_in(query):
        with open_reader() as reader:
            found = jumps(reader, text)
        if found:
            return redirect(found[0].address)
    return redirect(with_query(list_address("events"), [("q", query)] if query else []))
