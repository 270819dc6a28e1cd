"""Events: the lists of all events, of live events and of errors, each with the full filter bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self, cast

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.error_groups import ErrorGroupRecord, ErrorGroups, GroupOrder
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Position
from evdash.events.error_fingerprints import TRACEBACK, exception_line, masked
from evdash.events.inheritance import own_text
from evdash.web.error_pages import handles_invalid_query
from evdash.web.event_list.list_query import ERRORS, InvalidQuery, ListQuery
from evdash.web.event_list.listing import listing
from evdash.web.links import with_query
from evdash.web.page import page


@handles_invalid_query
def events(request: HttpRequest) -> HttpResponse:
    """Render the events of the filter, newest first."""
    query = ListQuery.from_request(request)
    with open_reader() as reader:
        shown = listing(reader, query)
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
    query = ListQuery.from_request(request)
    with open_reader() as reader:
        shown = listing(reader, query, with_histogram=False, with_breakdown=False)
    # A tail has no end to look back from. A range in its address is a condition that can be removed.
    shown = replace(shown, bar=replace(shown.bar, ranges=()))
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


@dataclass(frozen=True, slots=True)
class SortLink:
    """The heading of a column that groups can be sorted by."""

    label: str
    address: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class ErrorsPageQuery:
    """The query of the errors page: its list, the order of its groups, and whether it shows all or GROUPS_SHOWN."""

    list: ListQuery
    order: GroupOrder
    all_groups: bool

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the query of a request. Raise InvalidQuery for an invalid page cursor or order."""
        order = request.GET.get("sort") or "last"
        if order not in _SORTED:
            raise InvalidQuery(f"sort={order[:40]!r} is not valid. Valid: {', '.join(_SORTED)}.")
        own = () if order == "last" else (("sort", order),)
        query = replace(ListQuery.from_request(request, ERRORS), own_parameters=own)
        return cls(query, cast(GroupOrder, order), request.GET.get("groups") == "all")

    def with_all_groups(self) -> str:
        """Return the URL of the page with the same filter and order, and all groups."""
        return with_query(self.list.path, [*self.list.kept, *self.list.filter.pairs, ("groups", "all")])

    @property
    def sort_links(self) -> Mapping[GroupOrder, SortLink]:
        """The headings by the order that they link to."""
        groups = [("groups", "all")] if self.all_groups else []
        return {
            order: SortLink(
                label,
                with_query(
                    self.list.path,
                    [
                        *replace(self.list, own_parameters=(("sort", order),)).kept,
                        *self.list.filter.pairs,
                        *groups,
                    ],
                ),
                order == self.order,
            )
            for order, label in _SORTED.items()
        }


_SORTED: Final[Mapping[GroupOrder, str]] = {
    "errors": "Errors",
    "sessions": "Sessions",
    "first": "First seen",
    "last": "Last seen",
}


@handles_invalid_query
def errors(request: HttpRequest) -> HttpResponse:
    """Render the errors of the filter, newest first."""
    query = ErrorsPageQuery.from_request(request)
    with open_reader() as reader:
        shown = listing(reader, query.list)
        chosen = query.list.filter
        groups = ErrorGroups((), 0) if chosen.problem else reader.error_groups(chosen.effective_filter, query.order)
        listed = groups.shown[: None if query.all_groups else GROUPS_SHOWN]
        titles = _titles(reader, listed)
    return page(
        request,
        "pages/events.html",
        "Errors",
        {
            "listing": shown,
            "groups": groups,
            "error_groups": [
                (group, titles.get(group.fingerprint, group.masked), _address(query.list, group)) for group in listed
            ],
            "all_groups_address": query.with_all_groups(),
            "sort_links": query.sort_links,
        },
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )


def _titles(reader: Reader, groups: Sequence[ErrorGroupRecord]) -> Mapping[str, str]:
    """Return the titles, by fingerprint, of groups whose error is a traceback: the exception of the first error."""
    firsts = {
        group.fingerprint: Position(group.first_id, group.first_stream) for group in groups if TRACEBACK in group.masked
    }
    events = reader.events_by_position(set(firsts.values())) if firsts else {}
    return {
        fingerprint: masked(exception_line(event.error), own_text(event, "user"), event.session_id)
        for fingerprint, position in firsts.items()
        if (event := events.get(position))
    }


def _address(query: ListQuery, group: ErrorGroupRecord) -> str:
    """Return the URL of the group's errors, under the filter of the list."""
    return query.url(query.filter.own.also("group", group.fingerprint))
