"""The values that the events of selected sessions or users have: facets of lists, and comparisons of two sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from evdash.eventlog.filter_summary import FACET_VALUES_MAX, raw_values
from evdash.eventlog.models import LoggedEvent
from evdash.eventlog.records import FacetValue
from evdash.eventlog.selections import Selected
from evdash.eventlog.stream_deltas import StreamDeltas
from evdash.events.event import Event
from evdash.events.filters.keys import BY_NAME
from evdash.events.filters.summary_filter import SESSIONS, SummaryKind
from evdash.events.session_sets import KEYS, SetEvent
from evdash.events.summaries import SessionSummary

FACET_SAMPLE: Final = 200
"""Sessions or users whose values the facets of a list count, the newest."""
FACET_EVENTS: Final = 5_000
"""Their events: fewer sessions or users are counted if they have more."""
SET_SESSIONS: Final = 1_000
"""Sessions of each set that a comparison considers, the newest."""
SET_EVENTS: Final = 100_000
"""Their events: fewer sessions are compared if they have more."""
_COLUMNS: Final = tuple("stream_id" if key == "stream" else BY_NAME[key].attribute for key in KEYS)


def sample_of(selected: Selected, sessions_max: int, events_max: int) -> tuple[list[Any], bool]:
    """Return the newest summaries with at most this number of events together, and whether there are more."""
    names = selected.newest(sessions_max + 1)
    summaries = selected.summaries(names)
    kept: list[Any] = []
    events = 0
    for name in names:
        if name not in summaries:
            continue
        events += summaries[name].events
        if len(kept) == sessions_max or (kept and events > events_max):
            return kept, True
        kept.append(summaries[name])
    return kept, False


def facets_of(
    unlogged: StreamDeltas, numbers: Mapping[str, int], kind: SummaryKind, names: Sequence[str]
) -> Mapping[str, tuple[FacetValue, ...]]:
    """Return by filter key the numbers of these sessions or users that have an event with a value, largest first."""
    return facets_of_events(event for _, event in _events(unlogged, numbers, kind, names))


def facets_of_events(events: Iterable[SetEvent]) -> Mapping[str, tuple[FacetValue, ...]]:
    """Return by filter key the numbers of sessions or users that have one of these events with a value."""
    pairs: dict[str, set[tuple[str, str]]] = {key: set() for key in KEYS}
    for event in events:
        for key, value in zip(KEYS, event.values, strict=True):
            if value:
                pairs[key].add((value, event.session_id))
    return {key: _facet(Counter(value for value, _ in found)) for key, found in pairs.items()}


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
    wanted, key = set(names), kind.attribute
    streams = {number: name for name, number in numbers.items()}
    rows = LoggedEvent.objects.filter(**{f"{key}__in": wanted}, is_duplicate=False)
    if unlogged.inheritance.relabelled:
        rows = rows.exclude(session_id__in=list(unlogged.inheritance.relabelled_sessions))
    for each in unlogged.taken_back:
        rows = rows.exclude(stream_id=numbers[each.event.stream], entry_id=each.event.entry_id)
    at = KEYS.index("stream")
    for name, packed, is_error, type_, tool, *values in raw_values(
        rows.order_by().values_list(key, "entry_id", "is_error", "type", "tool", *_COLUMNS)
    ):
        values[at] = streams[values[at]]
        yield bytes(packed), SetEvent(name, bool(is_error), type_, tool, tuple(values))
    added = [change.event for change in unlogged.changes if change.counts == 1]
    added += [row.now for row in unlogged.inheritance.relabelled if not row.is_duplicate]
    for event in added:
        if (name := getattr(event, key)) in wanted:
            yield event.entry_id.to_bytes(), set_event(event, name)


def set_event(event: Event, name: str) -> SetEvent:
    """Return an event as a comparison needs it, of the session or user with this name."""
    values = tuple(str(getattr(event, BY_NAME[key].attribute)) for key in KEYS)
    return SetEvent(name, event.is_error, event.type, event.tool, values)
