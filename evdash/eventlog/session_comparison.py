"""Two sessions side by side: where the events of each row lie, so that a page reads only those it shows."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Final

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import MissingEntries, Position
from evdash.eventlog.session_events import SessionEvents, session_events
from evdash.events.event import Event
from evdash.events.session.alignment import Contrast, Verdict, align
from evdash.events.session.fold import fold_all
from evdash.events.session.state import SessionState
from evdash.events.summaries import SessionSummary

EVENTS_COMPARED: Final = 20_000
"""Of each session, from its start."""

# Two sessions of 20,000 events take some 5 s of one core to read, fold and align. As positions they take some 10 MB.
_KEPT_FROM_EVENTS: Final = 2_000
_KEPT: Final = 4


@dataclass(frozen=True, slots=True)
class ComparedSession:
    """One of the two, as far as it was read."""

    session_id: str
    started_us: int  # Unix microseconds; what the rows' times are counted from
    events: int  # that were compared, duplicates included
    duplicates: frozenset[Position]
    gaps: tuple[MissingEntries, ...]
    has_earlier: bool  # as in SessionEvents
    has_later: bool


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """Where the events lie that correspond; None on the side that has none."""

    a: Position | None
    b: Position | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class SessionComparison:
    """Every event of both is in one row, in its order."""

    a: ComparedSession
    b: ComparedSession
    rows: tuple[ComparedRow, ...]
    first_divergence: int | None  # the number of the first row that is not the same, from 0
    contrasts: tuple[Contrast, ...]
    is_bounded: bool  # as in Alignment


_Key = tuple[tuple[str, ...], SessionSummary, SessionSummary]
"""Of the streams that are read: a sandbox may have the same sessions."""


class _Memory:
    """The comparisons of long sessions that were asked for last: each page of one asks anew."""

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
    """The sessions compared; the summaries are what `reader.session` gave.

    A long comparison is remembered until a summary changes, as it does by every event: of counts, or of the last entry.
    """
    is_long = a.events + b.events >= _KEPT_FROM_EVENTS and reader.has_read_all
    key = (reader.streams, a, b)
    if is_long and (known := _memory.get(key)):
        return known
    ours, theirs = (session_events(reader, each.session_id, limit=EVENTS_COMPARED) for each in (a, b))
    states = fold_all(ours.events), fold_all(theirs.events)
    alignment = align(ours.events, theirs.events, states)
    comparison = SessionComparison(
        _compared(a, ours, states[0]),
        _compared(b, theirs, states[1]),
        tuple(ComparedRow(_position(row.a), _position(row.b), row.verdict) for row in alignment.rows),
        alignment.first_divergence,
        alignment.contrasts,
        alignment.is_bounded,
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


def _position(event: Event | None) -> Position | None:
    return Position.of(event) if event else None
