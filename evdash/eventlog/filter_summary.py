"""Counts, facets and the histogram of a filter, from a bounded sample of its newest events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet, Sum, TextField, Value
from django.db.models.functions import Coalesce, NullIf, StrIndex, Substr

from evdash.eventlog.event_query import duplicates_query, log_query
from evdash.eventlog.models import LoggedEvent, TypeCount
from evdash.eventlog.records import Count, FacetValue, FilterSummary
from evdash.eventlog.stream_deltas import StreamDeltas
from evdash.eventlog.time_buckets import DAY_S, histogram_of
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import IS, Condition, FilterKey, facet_keys
from evdash.events.filters.search_text import excerpt_chars, field_value, search_text, value_needles

# Counts, facets and histogram use at most this number of the newest matches, which takes about 20 ms.
SAMPLE_MAX = 5_000
DUPLICATES_MAX = 1_000
FACET_VALUES_MAX = 12
# Facets of fields without a column leave out longer values.
FIELD_VALUE_CHARS = 200

# The facets with a column in the order of a sampled row. The stream is last: a row has its number, a sample its name.
_COLUMNS: Final = {key.name: key.attribute for key in facet_keys() if key.attribute and key.name != "stream"}
_SAMPLED: Final = ("occurred_us", "is_error", *_COLUMNS.values(), "stream_id")


@dataclass(frozen=True, slots=True)
class _Sample:
    """Values of the same events, column by column: 5,000 events are too many for an object each."""

    occurred_us: Sequence[int]
    is_error: Sequence[int]
    facets: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Matches:
    """The events of a filter: those missing from the log, and the newest rows of the others."""

    fitting: Sequence[CountChange]
    relabelled: Sequence[Event]  # of the log, but not among the rows
    rows: QuerySet[LoggedEvent]  # at most one more than the limit
    complete: bool  # nothing is beyond them, unless there are more than the limit

    @property
    def counted(self) -> list[Event]:
        """The events that are not among the rows, without duplicates."""
        return [*(change.event for change in self.fitting if change.counts == 1), *self.relabelled]


def matches_of(
    unlogged: StreamDeltas,
    unlogged_complete: bool,
    numbers: Mapping[str, int],
    filter: EventFilter,
    now: datetime,
    limit: int = SAMPLE_MAX,
) -> Matches:
    """Return the events of the filter, of the log's rows the newest. Reads one database state."""
    matches = filter.predicate(now)
    fitting = [change for change in unlogged.matching(filter.driver()) if matches(change.event)]
    query = log_query(filter, now)
    relabelled = unlogged.inheritance.relabelled
    if relabelled:
        query = query.without_sessions(unlogged.inheritance.relabelled_sessions)
    bound = query.bound(newest_first=True)
    rows = query.matching.filter(is_duplicate=False)
    for each in unlogged.taken_back:
        rows = rows.exclude(stream_id=numbers[each.event.stream], entry_id=each.event.entry_id)
    if bound is not None:
        rows = rows.filter(entry_id__gte=bound)
    newest = rows.order_by("-entry_id", "-stream_id")[: limit + 1]
    others = [row.now for row in relabelled if not row.is_duplicate and matches(row.now)]
    return Matches(fitting, others, newest, unlogged_complete and bound is None)


def filter_summary(
    unlogged: StreamDeltas, unlogged_complete: bool, numbers: Mapping[str, int], filter: EventFilter, now: datetime
) -> FilterSummary:
    """Return counts, facets and histogram of the filter, within the sample's bound. Reads one database state."""
    matching = matches_of(unlogged, unlogged_complete, numbers, filter, now)
    counted_ones = matching.counted
    if len(counted_ones) > SAMPLE_MAX:
        counted_ones = sorted(counted_ones, key=_place, reverse=True)[: SAMPLE_MAX + 1]
    logged = raw_values(matching.rows.values_list(*_SAMPLED, *map(_excerpt, _field_facets())))
    complete = matching.complete and len(counted_ones) + len(logged) <= SAMPLE_MAX
    sample = _sample_of(counted_ones, logged[: max(0, SAMPLE_MAX - len(counted_ones))], numbers)
    if complete or not _is_counted(filter):
        events, errors = Count(len(sample.occurred_us), complete), Count(sum(sample.is_error), complete)
    else:
        events, errors = (Count(n, unlogged_complete) for n in counted(matching.fitting, numbers, filter))
    duplicates = _duplicates(matching.fitting, filter, now)
    return _of_sample(sample, events, errors, duplicates, filter, now, complete=complete)


def filter_count(
    unlogged: StreamDeltas, unlogged_complete: bool, numbers: Mapping[str, int], filter: EventFilter, now: datetime
) -> Count:
    """Return the `events` of `filter_summary` with less work. Reads one database state."""
    matching = matches_of(unlogged, unlogged_complete, numbers, filter, now)
    if _is_counted(filter):
        return Count(counted(matching.fitting, numbers, filter)[0], unlogged_complete)
    number = len(matching.counted) + matching.rows.count()
    return Count(min(number, SAMPLE_MAX), matching.complete and number <= SAMPLE_MAX)


def summary_of(changes: Sequence[CountChange], filter: EventFilter, now: datetime) -> FilterSummary:
    """Return the summary of these changes alone, which are newest first and contain no change of -1."""
    matches = filter.predicate(now)
    matching = [change for change in changes if matches(change.event)]
    counted = [change.event for change in matching if change.counts]
    return _of_sample(
        _sample_of(counted[:SAMPLE_MAX], [], {}),
        Count(len(counted)),
        Count(sum(event.is_error for event in counted)),
        Count(len(matching) - len(counted)),
        filter,
        now,
        complete=len(counted) <= SAMPLE_MAX,
    )


def _of_sample(
    sample: _Sample,
    events: Count,
    errors: Count,
    duplicates: Count,
    filter: EventFilter,
    now: datetime,
    *,
    complete: bool,
) -> FilterSummary:
    facets = {facet: Counter(values) for facet, values in sample.facets.items()}
    for counts in facets.values():
        del counts[""]
    shown = {facet: _facet(counts, filter.values(facet)) for facet, counts in facets.items()}
    others = {facet: counts.total() - sum(each.count for each in shown[facet]) for facet, counts in facets.items()}
    return FilterSummary(
        events=events,
        errors=errors,
        facets=shown,
        others={facet: number for facet, number in others.items() if number},
        histogram=histogram_of(sample.occurred_us, sample.is_error, filter.range_us(now), now),
        sampled=not complete,
        sample=len(sample.occurred_us),
        duplicates=duplicates,
    )


def _duplicates(fitting: Sequence[CountChange], filter: EventFilter, now: datetime) -> Count:
    logged = duplicates_query(filter, now)[:DUPLICATES_MAX].count()
    in_stream = sum(each.is_duplicate for each in fitting)
    return Count(logged + in_stream, exact=logged < DUPLICATES_MAX)


def _place(event: Event) -> EntryId:
    return event.entry_id


def raw_values(rows: QuerySet[LoggedEvent, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the rows as the database driver reads them; Django's conversion takes as long as reading them."""
    try:
        statement, parameters = rows.query.sql_with_params()
    except EmptyResultSet:  # no row can match
        return []
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def numbers_of_rows(rows: QuerySet[Any], columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return each combination of values of these columns among the rows, and its number of rows.

    The ORM cannot group the rows of a query with a limit.
    """
    try:
        statement, parameters = rows.values_list(*columns).query.sql_with_params()
    except EmptyResultSet:  # no row can match
        return []
    names = ", ".join(map(connection.ops.quote_name, columns))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {names}, count(*) FROM ({statement}) AS newest GROUP BY {names}", parameters)  # noqa: S608 - columns of the model
        return list(cursor.fetchall())


def _sample_of(events: Sequence[Event], rows: Sequence[tuple[Any, ...]], numbers: Mapping[str, int]) -> _Sample:
    """Return the sample of these events and rows, the events first, at most SAMPLE_MAX in all."""
    events = events[:SAMPLE_MAX]
    names = {number: name for name, number in numbers.items()}
    fields = _field_facets()
    by_column = zip(*rows, strict=True) if rows else ((),) * (len(_SAMPLED) + len(fields))
    occurred_us, is_error, *columns = by_column
    stream_ids, excerpts = columns[len(_COLUMNS)], columns[len(_COLUMNS) + 1 :]
    facets: dict[str, Sequence[str]] = {
        facet: (*(str(getattr(event, attribute)) for event in events), *logged)
        for (facet, attribute), logged in zip(_COLUMNS.items(), columns[: len(_COLUMNS)], strict=True)
    }
    facets["stream"] = (*(event.stream for event in events), *map(names.__getitem__, stream_ids))
    if fields:
        texts = list(map(search_text, events))
        for key, logged in zip(fields, excerpts, strict=True):
            facets[key.name] = [field_value(text, key.field, FIELD_VALUE_CHARS) for text in (*texts, *logged)]
    return _Sample(
        (*(event.occurred_us for event in events), *occurred_us),
        (*(event.is_error for event in events), *is_error),
        facets,
    )


def _field_facets() -> tuple[FilterKey, ...]:
    return tuple(key for key in facet_keys() if key.field)


def _excerpt(key: FilterKey) -> Substr:
    return value_excerpt(key.field, FIELD_VALUE_CHARS)


def value_excerpt(name: str, max_chars: int) -> Substr:
    """Return the excerpt of a row's search text that begins with the field; some other part if the row lacks it.

    The database searches the texts of a sample. Without such an expression it does not read them.
    """
    places = [
        NullIf(StrIndex("search_text", Value(needle, output_field=TextField())), Value(0))
        for needle in value_needles(name)
    ]
    return Substr("search_text", Coalesce(*places, Value(1)), excerpt_chars(name, max_chars))


def _facet(counts: Mapping[str, int], chosen: Collection[str]) -> tuple[FacetValue, ...]:
    """Return the most frequent values, and all of those that the filter has chosen."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        [
            FacetValue(value, count)
            for place, (value, count) in enumerate(ordered)
            if place < FACET_VALUES_MAX or value in chosen
        ]
    )


def _is_counted(filter: EventFilter) -> bool:
    """Return whether the counts by type and stream answer this filter."""
    return not (filter.since or filter.until) and {c.key for c in filter.conditions} <= {"type", "stream", IS}


def counted(fitting: Sequence[CountChange], numbers: Mapping[str, int], filter: EventFilter) -> tuple[int, int]:
    """Return the numbers of events and errors of a filter on types, streams and errors only.

    The result adds the stored counts by type and the effect of `fitting`, the changes that match the filter.
    """
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
    return condition.accepts(type_ if condition.key == "type" else stream)
