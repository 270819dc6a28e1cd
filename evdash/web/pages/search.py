"""Search: the box of the top bar opens the only page of an ID, and otherwise lists the events with the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from evdash.eventlog.current_reader import open_reader
from evdash.web.event_list.jump import event_jumps, id_in, jumps
from evdash.web.links import list_address, with_query


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """The text of a search: an ID, or a filter of events."""

    text: str

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the text in `q`. Never raises."""
        return cls(request.GET.get("q", ""))

    def url(self) -> str:
        """Return the URL of the events with this filter."""
        return with_query(list_address("events"), [("q", self.text)] if self.text else [])


def search(request: HttpRequest) -> HttpResponse:
    """Redirect to the session, user, entry or event with the ID in `q`, or to the events of the filter in `q`.

    If several have the ID, such as entries of two streams, the list of events offers each of them.
    """
    query = SearchQuery.from_request(request)
    if text := id_in(query.text):
        with open_reader() as reader:
            found = jumps(reader, text) or event_jumps(reader, text)
        addresses = {jump.address for jump in found}
        if len(addresses) == 1:
            return redirect(addresses.pop())
    return redirect(query.url())
