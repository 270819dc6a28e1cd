"""Two sets of sessions compared: a filter of sessions against the rest, or against another filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.selection_values import SET_EVENTS, SET_SESSIONS
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import BY_NAME, Condition
from evdash.events.filters.summary_filter import SESSIONS, Selection, SummaryFilter
from evdash.events.session_sets import STEP, Measure, SetComparison, SharedValue, SharedValues
from evdash.web.error_pages import handles_invalid_query
from evdash.web.event_list.list_query import InvalidQuery, ScopedFilter, outcome_label, with_outcome
from evdash.web.formatting import format_duration, format_percent
from evdash.web.links import compare_address, list_address, page_address, with_query
from evdash.web.page import Notice, page
from evdash.web.summary_list.query import SummaryListQuery, filters_in

LISTED_MAX: Final = 40
"""Sessions that a link names one by one."""


@dataclass(frozen=True, slots=True)
class SetsQuery:
    """The query of a comparison: set A, and the filter of set B; None: all other sessions."""

    path: str
    a: SummaryListQuery
    against: SummaryFilter | None = None
    until_error: bool = False  # compare values and steps before the first error of each session
    pair: tuple[str, str] | None = None  # two selected sessions, which are compared side by side instead

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the query of a request. Raise InvalidQuery."""
        params = request.GET
        chosen = params.getlist("session")
        own = ScopedFilter.parse(params, keys=SESSIONS.keys)
        if chosen:
            own = ScopedFilter(EventFilter(tuple(Condition("session", each) for each in chosen)))
        a = SummaryListQuery(
            page_address(request),
            SESSIONS,
            own,
            filters_in(params, "with", SESSIONS),
            filters_in(params, "except", SESSIONS),
        )
        if len(chosen) > LISTED_MAX:
            raise InvalidQuery(f"At most {LISTED_MAX} sessions can be selected one by one.")
        against = filters_in(params, "against", SESSIONS)
        if a.excluded and not against:
            raise InvalidQuery("With except=, set B is required. Add against=.")
        pair = (chosen[0], chosen[1]) if len(chosen) == 2 and set(params) == {"session"} else None
        return cls(page_address(request), a, against[0] if against else None, params.get("before_error") == "1", pair)

    @property
    def selections(self) -> tuple[Selection, Selection]:
        """The sessions of A and of B."""
        if self.against is not None:
            return self.a.selection, Selection(self.against)
        ranged = SummaryFilter(SESSIONS, EventFilter(since=self.own.since, until=self.own.until))
        return self.a.selection, Selection(ranged, excluded=self.a.selection.required)

    @property
    def own(self) -> EventFilter:
        """The filter of A."""
        return self.a.filter.own

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of this comparison without `before_error`."""
        against = [("against", self.against.written.text())] if self.against is not None else []
        return [*self.a.selected_pairs(), *against]

    def url(self, *, until_error: bool) -> str:
        """Return the address of this comparison, up to the first errors or of whole sessions."""
        return with_query(self.path, [*self.pairs, *([("before_error", "1")] if until_error else [])])

    def swapped(self) -> str:
        """Return the address with A and B exchanged; "" if B is the rest, or A is more than a filter."""
        if self.against is None or self.a.also or self.a.excluded:
            return ""
        pairs = [("q", self.against.written.text()), ("against", self.own.text())]
        return with_query(self.path, pairs) if self.own else ""


@dataclass(frozen=True, slots=True)
class ComparedSet:
    """One of the sets: its filter in words, its size, and the list of its sessions."""

    name: str
    sentence: str
    sessions: int
    address: str


@dataclass(frozen=True, slots=True)
class MeasureLine:
    """The median of a number in both sets, as text."""

    name: str
    a: str
    b: str
    ratio: str


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """An outcome with the sessions of both sets that have it."""

    label: str
    a: int
    b: int
    a_address: str
    b_address: str


@dataclass(frozen=True, slots=True)
class ValueLine:
    """A value with the sessions of both sets that have it, and the lists of these sessions."""

    value: SharedValue
    share_a: str
    share_b: str
    lift: str
    chance: str
    a_address: str
    b_address: str


@dataclass(frozen=True, slots=True)
class ValueTable:
    """The values of one property."""

    key: str
    label: str
    lines: tuple[ValueLine, ...]
    further: int


@handles_invalid_query
def compare_sets(request: HttpRequest) -> HttpResponse:
    """Render the comparison of two sets of sessions. Two selected sessions are compared side by side instead."""
    query = SetsQuery.from_request(request)
    if query.pair:
        return HttpResponseRedirect(compare_address(*query.pair))
    with open_reader() as reader:
        is_ready = bool(query.a.selection) and query.a.filter.problem is None
        found = reader.session_sets(*query.selections, until_error=query.until_error) if is_ready else None
    context = {
        "query": query,
        "against": query.against.written.text() if query.against is not None else "",
        "problem": query.a.filter.problem,
        "written": query.a.filter.text,
        "sets": _sets(query, found) if found else (),
        "found": found,
        "measures": [_measure(each) for each in found.measures] if found else [],
        "outcomes": _outcomes(query, found) if found else [],
        "tables": [_table(query, found, each) for each in found.values] if found else [],
        "whole_address": query.url(until_error=False),
        "until_error_address": query.url(until_error=True),
        "swapped_address": query.swapped(),
    }
    notices = []
    if found and not found.is_complete:
        limits = f"{SET_SESSIONS:,} sessions with {SET_EVENTS:,} events"
        notices.append(Notice(f"Of each set, at most the newest {limits} are compared."))
    return page(
        request,
        "pages/compare/sets.html",
        "Compare sets of sessions",
        context,
        coverage=reader.coverage,
        notices=notices,
        status=400 if query.a.filter.problem else 200,
    )


def _sets(query: SetsQuery, found: SetComparison) -> tuple[ComparedSet, ComparedSet]:
    a, b = query.selections
    words = "all other sessions" if query.against is None else b.describe()
    return (
        ComparedSet("A", a.describe(), found.sessions[0], _list_address(a)),
        ComparedSet("B", words, found.sessions[1], _list_address(b)),
    )


def _list_address(selection: Selection, *further: tuple[str, str]) -> str:
    """Return the address of the list of these sessions."""
    pairs = [("q", selection.filter.written.text())] if selection.filter else []
    pairs += [("with", each.written.text()) for each in selection.also]
    pairs += [("except", each.written.text()) for each in selection.excluded]
    return with_query(list_address("sessions"), [*pairs, *further])


def _measure(measure: Measure) -> MeasureLine:
    if measure.name == "Duration":
        a, b = ("–" if each is None else format_duration(timedelta(seconds=each)) for each in (measure.a, measure.b))
    else:
        a, b = ("–" if each is None else f"{each:,.1f}".removesuffix(".0") for each in (measure.a, measure.b))
    return MeasureLine(measure.name, a, b, f"{measure.a / measure.b:.1f}×" if measure.a and measure.b else "")


def _outcomes(query: SetsQuery, found: SetComparison) -> list[OutcomeLine]:
    lines = []
    for outcome, a, b in found.outcomes:
        ended_so = with_outcome(EventFilter(), outcome).text()
        addresses = [_list_address(each, ("with", ended_so)) for each in query.selections]
        lines.append(OutcomeLine(outcome_label(outcome), a, b, *addresses))
    return lines


def _table(query: SetsQuery, found: SetComparison, shared: SharedValues) -> ValueTable:
    label = "Steps" if shared.key == STEP else BY_NAME[shared.key].facet
    lines = tuple(_line(query, found, shared.key, value) for value in shared.values)
    return ValueTable(shared.key, label, lines, shared.further)


def _line(query: SetsQuery, found: SetComparison, key: str, value: SharedValue) -> ValueLine:
    def address(selection: Selection, sessions: Sequence[str]) -> str:
        if key != STEP and found.until_error is None:
            return _list_address(selection, ("with", EventFilter((Condition(key, value.value),)).text()))
        # No filter states steps, or events before an error.
        named = EventFilter(tuple(Condition("session", each) for each in sessions[:LISTED_MAX]))
        return with_query(list_address("sessions"), [("q", named.text())])

    lift = value.lift
    return ValueLine(
        value,
        format_percent(value.share_a) if value.a else "0 %",
        format_percent(value.share_b) if value.b else "0 %",
        "only A" if lift is None else "only B" if not value.a else f"{lift:.1f}×",
        _chance(value.chance),
        address(query.selections[0], value.sessions[0]) if value.a else "",
        address(query.selections[1], value.sessions[1]) if value.b else "",
    )


def _chance(chance: float) -> str:
    """Return a probability: `1 in 40`; above a half the word `likely`."""
    if chance > 0.5:
        return "likely"
    return f"1 in {round(1 / chance):,}" if chance > 1e-6 else "below 1 in 1,000,000"
