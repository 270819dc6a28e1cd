"""Queries on whole sessions: outline, events, and comparisons that store only the positions of their rows.

A page therefore reads only the events that it displays.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

from django.db import connection
from django.db.models import Count, F, Q, QuerySet
from django.db.models.fields import BigIntegerField
from django.db.models.functions import Cast, Floor

from evdash.eventlog.models import LoggedEvent
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import MissingEntries, OutlineSlot, Position
from evdash.eventlog.stream_deltas import StreamDeltas
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.session.alignment import Contrast, Verdict, align
from evdash.events.session.comparison_units import Kind, Unit
from evdash.events.session.reducer import fold_all
from evdash.events.session.state import SessionState
from evdash.events.session.value_trace import Occurrence, TracedValue
from evdash.events.summaries import SessionSummary

# Finer than any screen displays, so that idle and busy sections can be distinguished.
SLOTS: Final = 1_000


def session_outline(unlogged: StreamDeltas, summary: SessionSummary) -> tuple[OutlineSlot, ...]:
    """Return the session's time in at most SLOTS equal slots, in time order, without slots that have no events."""
    return outline_of(unlogged.of_session(summary.session_id), summary, _logged(summary, _width_us(summary)))


def outline_of(
    changes: Iterable[CountChange], summary: SessionSummary, counted: Mapping[int, tuple[int, int]] | None = None
) -> tuple[OutlineSlot, ...]:
    """Return the outline of these changes, added to the (events, errors) per slot number in `counted`."""
    width_us = _width_us(summary)
    counts_by_slot = dict(counted or {})
    for change in changes:
        event = change.event
        if event.session_id != summary.session_id:
            continue
        index = (event.occurred_us - summary.started_us) // width_us
        events, errors = counts_by_slot.get(index, (0, 0))
        counts_by_slot[index] = (events + change.counts, errors + change.counts * event.is_error)
    return tuple(
        OutlineSlot(summary.started_us + index * width_us, width_us, events, errors)
        for index, (events, errors) in sorted(counts_by_slot.items())
        if events > 0
    )


def _width_us(summary: SessionSummary) -> int:
    return max(1, -(-(summary.last_us - summary.started_us + 1) // SLOTS))


def _logged(summary: SessionSummary, width_us: int) -> dict[int, tuple[int, int]]:
    rows: QuerySet[LoggedEvent] = LoggedEvent.objects.filter(session_id=summary.session_id, is_duplicate=False)
    slot = Cast(Floor((F("occurred_us") - summary.started_us) * 1.0 / width_us), BigIntegerField())
    by_slot = rows.annotate(slot=slot).values_list("slot").order_by()
    counted = by_slot.annotate(events=Count("pk"), errors=Count("pk", filter=Q(is_error=True)))
    return {index: (events, errors) for index, events, errors in counted}


def last_before(events: Sequence[Event], numbers: Mapping[str, int]) -> Mapping[Position, Position]:
    """Return, by the position of each event, that of the last row of its session with a lower entry ID."""
    if not events:
        return {}
    statement = " UNION ALL ".join(_LAST_BEFORE.format(place) for place in range(len(events)))
    parameters = [value for event in events for value in (event.session_id, event.entry_id.to_bytes())]
    names = {number: name for name, number in numbers.items()}
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return {
            Position.of(events[place]): Position(EntryId.from_bytes(bytes(packed)), names[stream_id])
            for place, packed, stream_id in cursor.fetchall()
        }


# One statement for all events. The ORM has no limit for each part of a union.
_LAST_BEFORE: Final = """
    SELECT * FROM (
        SELECT {} AS place, entry_id, stream_id FROM eventlog_loggedevent WHERE session_id = %s AND entry_id < %s
        ORDER BY session_id DESC, entry_id DESC, stream_id DESC LIMIT 1
    ) AS earlier
"""
_CHUNK_EVENTS: Final = 2_000


@dataclass(frozen=True, slots=True)
class SessionEvents:
    """A session's events, oldest first, duplicates included."""

    events: tuple[Event, ...]
    duplicates: frozenset[Position]
    gaps: tuple[MissingEntries, ...]  # between the events, and before a first event that does not start the session
    has_earlier: bool  # entries before the first one were not read, because the log is far behind
    has_later: bool  # there may be events after the last one: the limit was met, or the log is far behind


def session_events(reader: Reader, session_id: str, *, limit: int) -> SessionEvents:
    """Return the session's oldest known events, at most `limit` of them."""
    within = EventFilter().also("session", session_id)
    page = reader.first_page(within, limit=min(limit, _CHUNK_EVENTS))
    has_earlier = page.older is not None
    events, duplicates, gaps = list(page.events), set(page.duplicates), list(page.gaps)
    while page.newer is not None and page.searched_to is None and len(events) < limit:
        page = reader.page(within, after=page.newer, oldest_first=True, limit=min(limit - len(events), _CHUNK_EVENTS))
        events += page.events
        duplicates |= page.duplicates
        gaps += [gap for gap in page.gaps if gap not in gaps]
    return SessionEvents(tuple(events), frozenset(duplicates), tuple(gaps), has_earlier, page.newer is not None)


EVENTS_COMPARED: Final = 20_000
"""Limit of events per session, from its start."""

# To read, fold and align two sessions of 20,000 events takes about 5 s of one core. Their positions take about 10 MB.
_KEPT_FROM_EVENTS: Final = 2_000
_KEPT: Final = 4


@dataclass(frozen=True, slots=True)
class ComparedSession:
    """One of the two sessions, as far as it was read."""

    session_id: str
    started_us: int  # Unix microseconds; the rows' times are relative to it
    events: int  # compared events, duplicates included
    duplicates: frozenset[Position]
    gaps: tuple[MissingEntries, ...]
    has_earlier: bool  # as in SessionEvents
    has_later: bool


@dataclass(frozen=True, slots=True)
class ComparedUnit:
    """The positions of a unit's events (comparison_units.py), and its tool."""

    positions: tuple[Position, ...]
    is_call: bool
    tool: str
    is_failed: bool


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """Two corresponding units; None on a side that has none. The other values are those of AlignedRow."""

    a: ComparedUnit | None
    b: ComparedUnit | None
    verdict: Verdict
    kinds: tuple[Kind, ...]
    matters: bool
    moved_to: int | None

    @property
    def is_call(self) -> bool:
        return any(unit is not None and unit.is_call for unit in (self.a, self.b))


@dataclass(frozen=True, slots=True)
class SessionComparison:
    """The aligned sessions: every event of both is in one row."""

    a: ComparedSession
    b: ComparedSession
    rows: tuple[ComparedRow, ...]
    first_difference: int | None  # the number, from 0, of the first row in which a difference matters
    contrasts: tuple[Contrast, ...]


_Key = tuple[tuple[str, ...], SessionSummary, SessionSummary]
"""The streams are part of the key because a sandbox may contain the same sessions."""


class _Memory:
    """A cache of the most recent comparisons of long sessions: each page of a comparison needs it again."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[_Key, SessionComparison] = OrderedDict()

    def get(self, key: _Key) -> SessionComparison | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: _Key, comparison: SessionComparison) -> None:
        with self._lock:
            self._kept[key] = comparison
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)


_memory = _Memory()


def session_comparison(reader: Reader, a: SessionSummary, b: SessionSummary) -> SessionComparison:
    """Return the comparison of two sessions; the summaries are results of `reader.session`.

    A long comparison is cached until a summary changes. Every event changes it: its counts, or its last entry.
    """
    is_long = a.events + b.events >= _KEPT_FROM_EVENTS and reader.has_read_all
    key = (reader.streams, a, b)
    if is_long and (cached := _memory.get(key)):
        return cached
    ours, theirs = (session_events(reader, each.session_id, limit=EVENTS_COMPARED) for each in (a, b))
    states = fold_all(ours.events), fold_all(theirs.events)
    alignment = align(ours.events, theirs.events, states)
    comparison = SessionComparison(
        _compared(a, ours, states[0]),
        _compared(b, theirs, states[1]),
        tuple(
            ComparedRow(_unit(row.a), _unit(row.b), row.verdict, row.kinds, row.matters, row.moved_to)
            for row in alignment.rows
        ),
        next((number for number, row in enumerate(alignment.rows) if row.matters), None),
        alignment.contrasts,
    )
    if is_long and reader.has_read_all:
        _memory.keep(key, comparison)
    return comparison


def _compared(summary: SessionSummary, read: SessionEvents, state: SessionState) -> ComparedSession:
    started_us = state.lifecycle.started_us
    return ComparedSession(
        session_id=summary.session_id,
        started_us=summary.started_us if started_us is None else started_us,
        events=len(read.events),
        duplicates=read.duplicates,
        gaps=read.gaps,
        has_earlier=read.has_earlier,
        has_later=read.has_later,
    )


def _unit(unit: Unit | None) -> ComparedUnit | None:
    if unit is None:
        return None
    return ComparedUnit(tuple(map(Position.of, unit.events)), unit.is_call, unit.tool, unit.is_failed)


EVENTS_TRACED: Final = 20_000
"""Limit of events that may contain a value, from the session's start."""
OCCURRENCES_MAX: Final = 200
# All events of a longer session are not read, only those that the text index finds. It has no keys.
_READ_WHOLE: Final = 2_000
_CHUNK_TRACED: Final = 500


@dataclass(frozen=True, slots=True)
class ValueTrace:
    """The events of a session that contain a value, oldest first, without duplicates."""

    occurrences: tuple[Occurrence, ...]  # at most OCCURRENCES_MAX
    has_keys: bool  # keys inside JSON were searched
    has_earlier: bool  # as in SessionEvents
    has_later: bool  # there may be further occurrences: a limit was met, or the log is far behind


def value_trace(reader: Reader, summary: SessionSummary, value: TracedValue) -> ValueTrace:
    """Return the first events of the session that contain the value; the summary is a result of `reader.session`."""
    within = EventFilter().also("session", summary.session_id)
    has_keys = summary.events <= _READ_WHOLE or not value.search_words
    if not has_keys:
        within = within.also("text", value.search_words)
    page = reader.first_page(within, limit=_CHUNK_TRACED)
    has_earlier, read = page.older is not None, len(page.events)
    found: list[Occurrence] = []
    while True:
        counted = (event for event in page.events if Position.of(event) not in page.duplicates)
        found += [occurrence for event in counted if (occurrence := value.occurrence(event))]
        is_last = page.newer is None or page.searched_to is not None
        if is_last or read >= EVENTS_TRACED or len(found) > OCCURRENCES_MAX:
            has_later = page.newer is not None or len(found) > OCCURRENCES_MAX
            return ValueTrace(tuple(found[:OCCURRENCES_MAX]), has_keys, has_earlier, has_later)
        page = reader.page(within, after=page.newer, oldest_first=True, limit=min(EVENTS_TRACED - read, _CHUNK_TRACED))
        read += len(page.events)
