"""Errors: the list of errors with their groups, and the page of one group."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self, cast

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.error_groups import ErrorGroupRecord, ErrorGroups, ErrorTrends, GroupOrder, GroupSort
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Position
from evdash.events.breakdown import BreakdownQuery, breakdown_query
from evdash.events.error_fingerprints import TRACEBACK, exception_line, masked, placeholders_in
from evdash.events.error_rates import RATE_KEYS, ErrorCounts, GroupRate, group_rates
from evdash.events.event import Event
from evdash.events.event_types import EventCategory, category_of
from evdash.events.filters.event_filter import EventFilter
from evdash.events.inheritance import own_text
from evdash.web.charts.sparkline import Sparkline, sparkline
from evdash.web.error_pages import handles_invalid_query, not_found_page
from evdash.web.event_list.error_rates import rates_of_group, tool_query, tool_rates
from evdash.web.event_list.list_query import ERRORS, InvalidQuery, ListQuery, PageCursor, Scope, filter_pairs
from evdash.web.event_list.listing import Listing, listing
from evdash.web.formatting import format_count
from evdash.web.links import error_group_address, session_address, session_event_address, user_address, with_query
from evdash.web.page import page

GROUPS_SHOWN: Final = 8
NEWEST: Final = 100
"""Errors of a group whose previous event is counted, the newest ones."""
PREVIOUS_SHOWN: Final = 6
NAMES_SHOWN: Final = 6

Title = Sequence[tuple[str, bool]]
"""The parts of a masked text: each a text, or the name of a placeholder with True."""


@dataclass(frozen=True, slots=True)
class SortLink:
    """The heading of a column that groups can be sorted by."""

    label: str
    address: str
    is_current: bool
    descends: bool

    @property
    def arrow(self) -> str:
        return "" if not self.is_current else " ↓" if self.descends else " ↑"


@dataclass(frozen=True, slots=True)
class ErrorsPageQuery:
    """The query of the errors page: its list, the order of its groups, and whether it shows all or GROUPS_SHOWN."""

    list: ListQuery
    sort: GroupSort
    all_groups: bool

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the query of a request. Raise InvalidQuery for an invalid page cursor or order."""
        text = request.GET.get("sort") or "errors"
        order = text.removeprefix("-")
        if order not in _SORTED:
            raise InvalidQuery(f"sort={text[:40]!r} is not valid. Valid: {', '.join(_SORTED)}. With -: reversed.")
        sort = GroupSort(cast(GroupOrder, order), is_reversed=text.startswith("-"))
        query = replace(ListQuery.from_request(request, ERRORS), own_parameters=_sort_parameter(sort))
        return cls(query, sort, request.GET.get("groups") == "all")

    def with_all_groups(self) -> str:
        """Return the URL of the page with the same filter and order, and all groups."""
        return with_query(self.list.path, [*self.list.kept, *self.list.filter.pairs, ("groups", "all")])

    @property
    def sort_links(self) -> Mapping[GroupOrder, SortLink]:
        """The headings by the order that they link to. That of the current order reverses it."""
        groups = [("groups", "all")] if self.all_groups else []
        links = {}
        for order, label in _SORTED.items():
            is_current = order == self.sort.order
            sort = GroupSort(order, is_reversed=is_current and not self.sort.is_reversed)
            kept = replace(self.list, own_parameters=_sort_parameter(sort)).kept
            address = with_query(self.list.path, [*kept, *self.list.filter.pairs, *groups])
            links[order] = SortLink(label, address, is_current, self.sort.descends)
        return links


_SORTED: Final[Mapping[GroupOrder, str]] = {
    "message": "Error",
    "type": "type",
    "tool": "tool",
    "errors": "Errors",
    "rate": "Rate",
    "sessions": "Sessions",
    "users": "Users",
    "first": "First seen",
    "last": "Last seen",
}


def _sort_parameter(sort: GroupSort) -> tuple[tuple[str, str], ...]:
    text = f"{'-' if sort.is_reversed else ''}{sort.order}"
    return () if text == "errors" else (("sort", text),)


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group in the context of templates/pages/errors/_groups.html."""

    group: ErrorGroupRecord
    title: Title
    address: str
    rate: GroupRate | None
    trend: Sparkline | None


@handles_invalid_query
def errors(request: HttpRequest) -> HttpResponse:
    """Render the errors of the filter, newest first."""
    query = ErrorsPageQuery.from_request(request)
    chosen = query.list.filter
    context: dict[str, object] = {}
    with open_reader() as reader:
        shown = listing(reader, query.list)
        if shown.bar.histogram:  # there are errors
            requested = tool_query(chosen.own)
            counts = reader.error_counts(requested.events, requested.errors, ("tool",))
            rates = group_rates(counts, requested.chosen)
            sort = replace(query.sort, rates={name: each.rate for name, each in rates.items()})
            groups = reader.error_groups(chosen.effective_filter, sort)
            listed = groups.shown[: None if query.all_groups else GROUPS_SHOWN]
            context = {
                "groups": groups,
                "group_lines": _lines(reader, shown, chosen.own, chosen.effective_filter, listed, rates),
                "counted": counts,
                "tool_rates": tool_rates(counts, requested),
                "all_groups_address": query.with_all_groups(),
                "sort_links": query.sort_links,
                "panels": "pages/errors/_panels.html",
            }
    return page(
        request,
        "pages/errors/list.html",
        "Errors",
        {"listing": shown, **context},
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )


def _lines(
    reader: Reader,
    shown: Listing,
    own: EventFilter,
    within: EventFilter,
    groups: Sequence[ErrorGroupRecord],
    rates: Mapping[str, GroupRate],
) -> list[GroupLine]:
    chart = shown.bar.histogram
    trends = reader.error_trends(within, chart.start, chart.end) if groups and chart else ErrorTrends({})
    titles = group_titles(reader, groups)
    pairs = filter_pairs(replace(own, conditions=tuple(c for c in own.conditions if c.key != "group")))
    return [
        GroupLine(
            group,
            titles[group.fingerprint],
            with_query(error_group_address(group.fingerprint), pairs),
            rates.get(group.fingerprint),
            _trend(trends, group, chart.start, chart.end) if chart else None,
        )
        for group in groups
    ]


def _trend(trends: ErrorTrends, group: ErrorGroupRecord, start: datetime, end: datetime) -> Sparkline | None:
    numbers = trends.counts.get(group.fingerprint)
    if not numbers:
        return None
    newest = "" if trends.is_complete else ", of the newest errors"
    words = f"{format_count(sum(numbers), 'error')} from {start:%d %b %Y %H:%M} to {end:%d %b %Y %H:%M} UTC{newest}"
    return sparkline(numbers, words, is_of_errors=True)


def group_titles(reader: Reader, groups: Sequence[ErrorGroupRecord]) -> Mapping[str, Title]:
    """Return the titles of groups by fingerprint. That of a traceback is the exception of its first error."""
    firsts = {
        group.fingerprint: Position(group.first_id, group.first_stream) for group in groups if TRACEBACK in group.masked
    }
    events = reader.events_by_position(set(firsts.values())) if firsts else {}
    texts = {group.fingerprint: group.masked or group.type for group in groups}
    for fingerprint, position in firsts.items():
        if event := events.get(position):
            texts[fingerprint] = masked(exception_line(event.error), own_text(event, "user"), event.session_id)
    return {fingerprint: placeholders_in(text) for fingerprint, text in texts.items()}


@dataclass(frozen=True, slots=True)
class PreviousLine:
    """Events of one type and tool that came directly before errors."""

    type: str
    tool: str
    category: EventCategory
    events: int
    share: float  # of the errors, 0 to 1


@dataclass(frozen=True, slots=True)
class Previous:
    """The events directly before the newest errors of a group, each in its session."""

    errors: int  # the number of these errors
    lines: tuple[PreviousLine, ...]  # most frequent first
    others: int  # events of other types and tools
    without: int  # errors without an earlier event


@dataclass(frozen=True, slots=True)
class NameLink:
    """A session or a user that a group affected."""

    name: str
    errors: int
    address: str


@handles_invalid_query
def error_group(request: HttpRequest, fingerprint: str) -> HttpResponse:
    """Render the errors of one group under the filter bar, with what they have in common."""
    query = ListQuery.from_request(request, Scope("group", fingerprint))
    chosen, own = query.filter, query.filter.own
    with open_reader() as reader:
        every = reader.error_groups(EventFilter().also("group", fingerprint)).shown
        if not every:
            return not_found_page(request, reader, "error group", fingerprint)
        shown = listing(reader, query)
        context: dict[str, object] = {}
        if not chosen.problem:
            found = reader.error_groups(chosen.effective_filter) if own else ErrorGroups(every, 1)
            newest = _newest(reader, query, shown)
            requested = {key: breakdown_query(key, own, chosen.scope.applied) for key in RATE_KEYS}
            counts = _counts(reader, requested)
            tables = [rates_of_group(counts[key], each, query.path) for key, each in requested.items()]
            context = {
                "found": found.shown[0] if found.shown else None,
                "is_exact": found.is_exact,
                "rate": group_rates(counts["tool"], requested["tool"].chosen).get(fingerprint),
                "tables": [table for table in tables if table.lines],
                "previous": _previous(reader, newest),
                "sessions": _names(shown, "session", newest),
                "users": _names(shown, "user", newest),
                "panels": "pages/errors/_group_panels.html",
            }
        title = group_titles(reader, every)[fingerprint]
    return page(
        request,
        "pages/errors/group.html",
        "".join(f"<{text}>" if is_placeholder else text for text, is_placeholder in title),
        {"listing": shown, "group": every[0], "group_title": title, **context},
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )


def _counts(reader: Reader, requested: Mapping[str, BreakdownQuery]) -> Mapping[str, ErrorCounts]:
    """Return the counts for breakdowns by key. Those of the same events, in general all, are read at once."""
    keys = defaultdict[EventFilter, list[str]](list)
    for key, query in requested.items():
        keys[query.events].append(key)
    found = {
        events: reader.error_counts(events, requested[alike[0]].errors, tuple(alike)) for events, alike in keys.items()
    }
    return {key: found[query.events] for key, query in requested.items()}


def _newest(reader: Reader, query: ListQuery, shown: Listing) -> list[Event]:
    """Return the NEWEST errors of the list, without duplicates."""
    is_listed = query.cursor == PageCursor() and query.rows == NEWEST
    found = shown.page if is_listed else reader.page(query.filter.effective_filter, limit=NEWEST)
    return [event for event in found.events if Position.of(event) not in found.duplicates]


def _previous(reader: Reader, errors: Sequence[Event]) -> Previous:
    before = reader.events_before(errors)
    counts = Counter((event.type, event.tool) for event in before.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines = tuple(
        PreviousLine(type_, tool, category_of(type_), number, number / len(errors))
        for (type_, tool), number in ordered[:PREVIOUS_SHOWN]
    )
    others = counts.total() - sum(line.events for line in lines)
    return Previous(len(errors), lines, others, len(errors) - counts.total())


def _names(shown: Listing, key: str, newest: Sequence[Event]) -> tuple[NameLink, ...]:
    """Return the sessions or users with most errors of the list, from its facet."""
    values = next((facet.values for facet in shown.bar.facets if facet.key == key), ())
    last = {event.session_id: event.entry_id for event in reversed(newest)}

    def address(name: str) -> str:
        if key == "user":
            return user_address(name)
        return session_event_address(name, last[name]) if name in last else session_address(name)

    named = [each for each in values if each.count and not each.is_addition]
    return tuple(NameLink(each.value, each.count, address(each.value)) for each in named[:NAMES_SHOWN])
