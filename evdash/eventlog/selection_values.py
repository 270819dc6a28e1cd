"""The values that the events of selected sessions or users have: facets of lists, and comparisons of two sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from django.db.models import QuerySet

from evdash.eventlog.filter_summary import FACET_VALUES_MAX, raw_values
from evdash.eventlog.models import LoggedEvent
from evdash.eventlog.records import FacetValue
from evdash.eventlog.selections import Selected
from evdash.eventlog.stream_deltas import StreamDeltas
from evdash.events.event import Event
from evdash.events.filters.keys import BY_NAME
from evdash.events.filters.summary_filter import SESSIONS, SummaryKind
from evdash.events.session_activity import ActivityEvent
from evdash.events.session_sets import KEYS, SetEvent
from evdash.events.summaries import SessionSummary

FACET_SAMPLE: Final = 200
"""Sessions or users whose values the facets of a list count, the newest."""
FACET_EVENTS: Final = 3_000
"""Their events: fewer sessions or users are counted if they have more."""
SET_SESSIONS: Final = 1_000
"""Sessions of each set that a comparison considers, the newest."""
SET_EVENTS: Final = 100_000
"""Their events: fewer sessions are compared if they have more."""
_STREAM: Final = KEYS.index("stream")
_COLUMNS: Final = tuple("stream_id" if key == "stream" else BY_NAME[key].attribute for key in KEYS)


def sample_of(selected: Selected, names_max: int, events_max: int) -> tuple[list[str], bool]:
    """Return the newest names with at most this number of events together, at least one, and whether there are more."""
    kept: list[str] = []
    events = 0
    for name, own in selected.newest(names_max + 1):
        events += own
        if len(kept) == names_max or (kept and events > events_max):
            return kept, True
        kept.append(name)
    return kept, False


def facets_of(
    unlogged: StreamDeltas, numbers: Mapping[str, int], kind: SummaryKind, names: Sequence[str]
) -> Mapping[str, tuple[FacetValue, ...]]:
    """Return by filter key the numbers of these sessions or users that have an event with a value, largest first."""
    logged, added = _rows(unlogged, numbers, kind, names)
    rows = raw_values(logged.order_by().values_list(kind.attribute, *_COLUMNS).distinct())
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * (len(KEYS) + 1)
    owners = columns.pop(0)
    streams = {number: name for name, number in numbers.items()}
    columns[_STREAM] = [streams[number] for number in columns[_STREAM]]
    # Whole columns, because an object for each event takes as long as the rest of the page.
    pairs = {key: _pairs(column, owners) for key, column in zip(KEYS, columns, strict=True)}
    return _facets(pairs, (set_event(event, getattr(event, kind.attribute)) for event in added))


def _pairs(column: Sequence[str], owners: Sequence[str]) -> set[tuple[str, str]]:
    """Return each value of a column with each of its owners. Many columns have one value in every row, or none."""
    if len(set(column)) == 1:
        owners = list(set(owners))
        column = [column[0]] * len(owners)
    return set(zip(column, owners, strict=True))


def facets_of_events(events: Iterable[SetEvent]) -> Mapping[str, tuple[FacetValue, ...]]:
    """Return by filter key the numbers of sessions or users that have one of these events with a value."""
    return _facets({key: set() for key in KEYS}, events)


def _facets(
    pairs: Mapping[str, set[tuple[str, str]]], events: Iterable[SetEvent]
) -> Mapping[str, tuple[FacetValue, ...]]:
    """Return the facets of these pairs of a value and a name, and of further events."""
    for event in events:
        for key, value in zip(KEYS, event.values, strict=True):
            pairs[key].add((value, event.session_id))
    return {key: _facet(Counter(value for value, _ in found if value)) for key, found in pairs.items()}


def _facet(counts: Mapping[str, int]) -> tuple[FacetValue, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(FacetValue(value, count) for value, count in ordered[:FACET_VALUES_MAX])


def set_events(
    unlogged: StreamDeltas, numbers: Mapping[str, int], sessions: Sequence[SessionSummary]
) -> Iterator[SetEvent]:
    """Yield the events of these sessions, those of one session in succession, in the order of entry IDs."""
    found = sorted(_events(unlogged, numbers, SESSIONS, [each.session_id for each in sessions]), key=_place)
    return (event for _, event in found)


def _place(placed: tuple[bytes, SetEvent]) -> tuple[str, bytes]:
    return placed[1].session_id, placed[0]


def _events(
    unlogged: StreamDeltas, numbers: Mapping[str, int], kind: SummaryKind, names: Sequence[str]
) -> Iterator[tuple[bytes, SetEvent]]:
    """Yield the events of these sessions or users with their packed entry IDs; `session_id` names one of `names`."""
    logged, added = _rows(unlogged, numbers, kind, names)
    streams = {number: name for name, number in numbers.items()}
    columns = (kind.attribute, "entry_id", "is_error", "type", "tool", *_COLUMNS)
    for name, packed, is_error, type_, tool, *values in raw_values(logged.order_by().values_list(*columns)):
        values[_STREAM] = streams[values[_STREAM]]
        yield bytes(packed), SetEvent(name, bool(is_error), type_, tool, tuple(values))
    yield from ((event.entry_id.to_bytes(), set_event(event, getattr(event, kind.attribute))) for event in added)


def activity_events(
    unlogged: StreamDeltas, numbers: Mapping[str, int], sessions: Sequence[SessionSummary]
) -> Iterator[ActivityEvent]:
    """Yield the events of these sessions without duplicates, in any order."""
    logged, added = _rows(unlogged, numbers, SESSIONS, [each.session_id for each in sessions])
    yield from map(ActivityEvent._make, raw_values(logged.order_by().values_list("session_id", "occurred_us", "tool")))
    yield from (ActivityEvent(event.session_id, event.occurred_us, event.tool) for event in added)


def _rows(
    unlogged: StreamDeltas, numbers: Mapping[str, int], kind: SummaryKind, names: Sequence[str]
) -> tuple[QuerySet[LoggedEvent], list[Event]]:
    """Return the rows of these sessions or users, and their events that are not among the rows, without duplicates."""
    wanted, key = set(names), kind.attribute
    rows = LoggedEvent.objects.filter(**{f"{key}__in": wanted}, is_duplicate=False)
    if unlogged.inheritance.relabelled:
        rows = rows.exclude(session_id__in=list(unlogged.inheritance.relabelled_sessions))
    for each in unlogged.taken_back:
        rows = rows.exclude(stream_id=numbers[each.event.stream], entry_id=each.event.entry_id)
    added = [change.event for change in unlogged.changes if change.counts == 1]
    added += [row.now for row in unlogged.inheritance.relabelled if not row.is_duplicate]
    return rows, [event for event in added if getattr(event, key) in wanted]


def set_event(event: Event, name: str) -> SetEvent:
    """Return an event as a comparison needs it, of the session or user with this name."""
    values = tuple(str(getattr(event, BY_NAME[key].attribute)) for key in KEYS)
    return SetEvent(name, event.is_error, event.type, event.tool, values)
