"""Counts, facets and the histogram of a filter, from a bounded sample of its newest events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Sum

from evdash.eventlog.histograms import histogram_of
from evdash.eventlog.models import TypeCount
from evdash.eventlog.query import duplicates_query, log_query
from evdash.eventlog.records import FACETS, Count, FacetValue, FilterSummary
from evdash.eventlog.time_slots import DAY_S
from evdash.eventlog.unlogged import Unlogged
from evdash.events.conditions import ATTRIBUTES, IS, Condition
from evdash.events.duplicates import Change
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.filter import EventFilter

# The newest matches that counts, facets and histogram look at: so many take some 20 ms.
SAMPLE_MAX = 5_000
DUPLICATES_MAX = 1_000
FACET_VALUES_MAX = 12

_SAMPLED = ("occurred_us", "is_error", *(ATTRIBUTES[facet] for facet in FACETS if facet != "stream"), "stream_id")


class Sampled(NamedTuple):
    """What the sample keeps of an event; the properties of the facets in FACETS's order."""

    occurred_us: int
    is_error: bool
    facets: tuple[str, ...]


def filter_summary(
    unlogged: Unlogged, unlogged_complete: bool, numbers: Mapping[str, int], filter: EventFilter, now: datetime
) -> FilterSummary:
    """What can be said of all events of the filter, within the sample's bound. Reads one database state."""
    matches = filter.predicate(now)
    fitting = [change for change in unlogged.found(filter.driver()) if matches(change.event)]
    counted_ones = [change.event for change in fitting if change.counts == 1]
    if len(counted_ones) > SAMPLE_MAX:
        counted_ones = sorted(counted_ones, key=_place, reverse=True)[: SAMPLE_MAX + 1]
    from_stream = list(map(_sampled, counted_ones))
    query = log_query(filter, now)
    bound = query.bound(newest_first=True)
    rows = query.matching.filter(is_duplicate=False)
    for each in unlogged.taken_back:
        rows = rows.exclude(stream_id=numbers[each.event.stream], entry_id=each.event.entry_id)
    if bound is not None:
        rows = rows.filter(entry_id__gte=bound)
    newest = rows.order_by("-entry_id", "-stream_id")[: SAMPLE_MAX + 1]
    sample = [*from_stream, *_from_log(newest.values_list(*_SAMPLED), numbers)]
    complete = unlogged_complete and bound is None and len(sample) <= SAMPLE_MAX
    sample = sample[:SAMPLE_MAX]
    events, errors = _counts(sample, complete, fitting, unlogged_complete, numbers, filter, now)
    duplicates = _duplicates(fitting, filter, now)
    return _of_sample(sample, events, errors, duplicates, filter, now, complete=complete)


def summary_of(changes: Sequence[Change], filter: EventFilter, now: datetime) -> FilterSummary:
    """The same of these changes alone, newest first, which take nothing back."""
    matches = filter.predicate(now)
    found = [change for change in changes if matches(change.event)]
    counted = [change.event for change in found if change.counts]
    return _of_sample(
        [_sampled(event) for event in counted[:SAMPLE_MAX]],
        Count(len(counted)),
        Count(sum(event.is_error for event in counted)),
        Count(len(found) - len(counted)),
        filter,
        now,
        complete=len(counted) <= SAMPLE_MAX,
    )


def _of_sample(
    sample: Sequence[Sampled],
    events: Count,
    errors: Count,
    duplicates: Count,
    filter: EventFilter,
    now: datetime,
    *,
    complete: bool,
) -> FilterSummary:
    return FilterSummary(
        events=events,
        errors=errors,
        facets={facet: _facet(sample, index) for index, facet in enumerate(FACETS)},
        histogram=histogram_of([(each.occurred_us, each.is_error) for each in sample], filter.range_us(now), now),
        sampled=not complete,
        sample=len(sample),
        duplicates=duplicates,
    )


def _duplicates(fitting: Sequence[Change], filter: EventFilter, now: datetime) -> Count:
    logged = duplicates_query(filter, now)[:DUPLICATES_MAX].count()
    in_stream = sum(each.is_duplicate for each in fitting)
    return Count(logged + in_stream, exact=logged < DUPLICATES_MAX)


def _place(event: Event) -> EntryId:
    return event.entry_id


def _sampled(event: Event) -> Sampled:
    return Sampled(event.occurred_us, event.is_error, tuple(str(getattr(event, ATTRIBUTES[facet])) for facet in FACETS))


def _from_log(rows: Iterable[tuple[object, ...]], numbers: Mapping[str, int]) -> Iterable[Sampled]:
    names = {number: name for name, number in numbers.items()}
    for occurred_us, is_error, *values, stream_id in rows:
        yield Sampled(occurred_us, is_error, (*values, names[stream_id]))  # type: ignore[arg-type, index]


def _facet(sample: Sequence[Sampled], index: int) -> tuple[FacetValue, ...]:
    counts = Counter(each.facets[index] for each in sample)
    named = sorted(((value, count) for value, count in counts.items() if value), key=lambda item: (-item[1], item[0]))
    return tuple(FacetValue(value, count) for value, count in named[:FACET_VALUES_MAX])


def _counts(
    sample: Sequence[Sampled],
    complete: bool,
    fitting: Sequence[Change],
    unlogged_complete: bool,
    numbers: Mapping[str, int],
    filter: EventFilter,
    now: datetime,
) -> tuple[Count, Count]:
    if not complete and _is_counted(filter):
        events, errors = counted(fitting, numbers, filter)
        return Count(events, unlogged_complete), Count(errors, unlogged_complete)
    return Count(len(sample), complete), Count(sum(each.is_error for each in sample), complete)


def _is_counted(filter: EventFilter) -> bool:
    """Whether the counts by type and stream answer this filter."""
    return not (filter.since or filter.until) and {c.key for c in filter.conditions} <= {"type", "stream", IS}


def counted(fitting: Sequence[Change], numbers: Mapping[str, int], filter: EventFilter) -> tuple[int, int]:
    """Events and errors of a filter on types, streams and errors alone, from the counts kept by type and what
    `fitting`, the changes that the filter lets through, add to them."""
    events = sum(each.counts for each in fitting)
    errors = sum(each.counts for each in fitting if each.event.is_error)
    names = {number: name for name, number in numbers.items()}
    totals = TypeCount.objects.filter(width_s=DAY_S).values_list("type", "stream_id")
    for type_, stream_id, all_events, all_errors in totals.annotate(Sum("events"), Sum("errors")):
        lets_type_through = all(
            any(_holds(condition, type_, names[stream_id]) != condition.negated for condition in group)
            for group in filter.alternatives()
            if group[0].key != IS
        )
        if lets_type_through:
            wants = {condition.negated for condition in filter.conditions if condition.key == IS}
            events += all_events * (not wants) + (all_errors if wants == {False} else 0)
            events += all_events - all_errors if wants == {True} else 0
            errors += all_errors if True not in wants else 0
    return events, errors


def _holds(condition: Condition, type_: str, stream: str) -> bool:
    value = type_ if condition.key == "type" else stream
    return value.startswith(condition.value) if condition.prefix else value == condition.value
