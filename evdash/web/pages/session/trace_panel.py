"""The panel with the occurrences of a value in a session."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from evdash.eventlog.reader import Reader
from evdash.eventlog.session_queries import EVENTS_TRACED, OCCURRENCES_MAX, value_trace
from evdash.events.event import Event
from evdash.events.event_types import EventCategory, category_of
from evdash.events.session.value_trace import Occurrence, TracedValue, author_of
from evdash.events.summaries import SessionSummary
from evdash.web.formatting import format_count, format_duration
from evdash.web.pages.session.query import SessionPageQuery


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One event with the value."""

    occurrence: Occurrence
    category: EventCategory
    after: str  # time since the session's start
    address: str  # of the page around the event
    is_selected: bool


@dataclass(frozen=True, slots=True)
class TracePanel:
    """The data of templates/pages/session/_trace.html."""

    value: str
    author: str  # of the first occurrence, in words; "" without one
    is_by_agent: bool  # of the first occurrence: nothing before it has the value
    first: TraceRow | None
    others: tuple[TraceRow, ...]
    count: str
    notes: tuple[str, ...]  # limits of the search
    close: str  # the address without the panel

    @property
    def events(self) -> tuple[Event, ...]:
        """The events with the value, in their order."""
        rows = (self.first, *self.others) if self.first else ()
        return tuple(row.occurrence.event for row in rows)


def trace_panel(reader: Reader, facts: SessionSummary, query: SessionPageQuery) -> TracePanel | None:
    """Return the occurrences of the value in `trace=`; None without one."""
    if not query.trace:
        return None
    trace = value_trace(reader, facts, TracedValue(query.trace))
    rows = tuple(_row(occurrence, facts, query) for occurrence in trace.occurrences)
    author = author_of(trace.occurrences[0]) if rows else None
    is_full = len(rows) == OCCURRENCES_MAX and trace.has_later
    notes = (
        "" if trace.has_keys else "Keys inside JSON were not searched, because the session is long.",
        "Earlier events were not read. The event log is too far behind." if trace.has_earlier else "",
        f"Only the first {OCCURRENCES_MAX} events with the value are shown." if is_full else "",
        f"Later events were not searched. The limit is {format_count(EVENTS_TRACED, 'event')}."
        if trace.has_later and not is_full
        else "",
    )
    return TracePanel(
        value=query.trace,
        author=author.words if author else "",
        is_by_agent=bool(author and author.is_agent and trace.has_keys and not trace.has_earlier),
        first=rows[0] if rows else None,
        others=rows[1:],
        count=f"{format_count(len(rows) - 1, 'later event')}{' or more' if is_full else ''}" if rows[1:] else "",
        notes=tuple(filter(None, notes)),
        close=query.untraced,
    )


def _row(occurrence: Occurrence, facts: SessionSummary, query: SessionPageQuery) -> TraceRow:
    event = occurrence.event
    after = timedelta(microseconds=event.occurred_us - facts.started_us)
    return TraceRow(
        occurrence,
        category_of(event.type),
        f"{'+' if after >= timedelta(0) else ''}{format_duration(after)}",
        query.around(event.entry_id),
        event.entry_id == query.at,
    )
