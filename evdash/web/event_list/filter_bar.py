"""The filter bar: the current filter, the possible changes to it as links, and its result in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from evdash.eventlog import filter_summary
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Count, FilterSummary
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import BY_NAME, Condition, FilterKey, Keys, facet_keys
from evdash.events.filters.parser import hint, names
from evdash.events.filters.time_range import TimeBound
from evdash.web.charts.histogram import HistogramPicture, histogram_picture, not_drawn
from evdash.web.event_list.list_query import ListQuery, Problem, ScopedFilter
from evdash.web.links import filtered_address, list_address, with_query

FACET_VALUES: Final = 12
PRESETS: Final = (("15m", "15 min"), ("1h", "1 h"), ("6h", "6 h"), ("1d", "24 h"), ("7d", "7 d"), ("30d", "30 d"))
"""The time ranges before now that a bar links to, with their labels."""


@dataclass(frozen=True, slots=True)
class BarLink:
    """A link with a short label."""

    label: str
    address: str
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class FacetLink:
    """One value of a facet."""

    value: str
    count: int
    width: float  # per cent of the largest
    address: str
    is_set: bool
    is_addition: bool = False  # events that the value would add to those of the filter


@dataclass(frozen=True, slots=True)
class Facet:
    """One property with its most frequent values."""

    key: str
    label: str
    values: tuple[FacetLink, ...]
    others: int  # the events with other values than these


@dataclass(frozen=True, slots=True)
class FilterBar:
    """The context of templates/event_list/_filter_bar.html and _facets.html."""

    address: str  # of the list without a filter
    kept: tuple[tuple[str, str], ...]  # parameters that the form of the filter repeats
    text: str
    chips: tuple[BarLink, ...]
    ranges: tuple[BarLink, ...]
    own_range: str
    has_own_range: bool
    since_value: str
    until_value: str
    text_without_range: str
    histogram_base: str  # the address and query to which a dragged range is added
    ndjson: str
    csv: str
    completions: str  # the address of completions, with the filter of the list
    placeholder: str
    errors: BarLink | None
    sentence: str = ""
    counts: str = ""
    has_empty_range: bool = False
    hint: str = ""  # on a condition that was probably meant otherwise
    sampled: str = ""
    facets: tuple[Facet, ...] = ()
    histogram: HistogramPicture | None = None
    problem: Problem | None = None
    suggestion_address: str = ""  # of the list under the filter that was probably meant
    row_counts: tuple[BarLink, ...] = ()  # the numbers of rows with which the list can begin
    has_live: bool = False
    streams: tuple[BarLink, ...] = ()  # empty if there is only one
    scope_name: str = ""
    noun: str = "event"  # the noun of its rows, in the singular
    own_keys: Keys = field(default_factory=dict)  # keys of the list that events do not have

    @property
    def all_address(self) -> str:
        """The address of the list without a filter, an order or chosen columns."""
        return self.address.partition("?")[0]

    @property
    def keys(self) -> str:
        """The keys of the filter grammar, separated by spaces, for auto-completion."""
        return " ".join(names({**self.own_keys, **BY_NAME}))

    @property
    def key_table(self) -> tuple[FilterKey, ...]:
        """The keys that name a property of events, for the help."""
        return tuple(key for key in BY_NAME.values() if key.name not in self.own_keys)


class FilteredQuery(Protocol):
    """The query of a list with a filter bar."""

    @property
    def filter(self) -> ScopedFilter:
        """The user's filter within the page's scope."""

    @property
    def path(self) -> str:
        """The address of the page."""

    @property
    def kept(self) -> tuple[tuple[str, str], ...]:
        """The parameters other than the filter that every URL of the list has."""

    def url(self, own: EventFilter | None = None) -> str:
        """Return the URL of the list's beginning, with another filter if `own` is given."""


def filter_bar(
    query: ListQuery,
    *,
    streams: Sequence[str],
    summary: FilterSummary | None = None,
    of: Count | None = None,
    with_histogram: bool = True,
) -> FilterBar:
    """Return the filter bar of a query's page, which reads these streams.

    `of` is the number of events without "Errors only", given if that is set. Without a summary, or if the filter is
    invalid, the bar has no counts, facets or histogram.
    """
    chosen = query.filter
    own, within = chosen.own, chosen.effective_filter
    bar = replace(
        bar_without_counts(query),
        ndjson=filtered_address("events-ndjson", within),
        csv=filtered_address("events-csv", within),
        completions=filtered_address("completions", within),
        errors=None if chosen.scope.states_errors else _errors_link(query),
        streams=_streams(query, streams),
    )
    if summary is None or chosen.problem:
        return bar
    return replace(
        bar,
        sentence=_sentence(chosen),
        hint=hint(own.conditions),
        counts=_counts(chosen, summary, of),
        has_empty_range=own.has_empty_range(datetime.now(UTC)),
        sampled=_sampled(summary, with_histogram=with_histogram),
        facets=_facets(query, summary),
        histogram=_histogram(query, summary) if with_histogram else None,
    )


def bar_without_counts(query: FilteredQuery) -> FilterBar:
    """Return the filter bar of a list with its filter and time ranges alone."""
    chosen, own = query.filter, query.filter.own
    without_range = replace(own, since=None, until=None)
    fixed = bool(own.until or (own.since and own.since.moment))
    preset = "" if fixed or own.since is None else str(own.since)
    named = any(preset == span for span, _ in PRESETS)
    # A session page does not need time ranges: a session is short, and its timeline shows its range.
    ranges = () if chosen.scope.key == "session" else _ranges(query, preset)
    return FilterBar(
        address=query.url(EventFilter()),
        kept=query.kept,
        text=chosen.text,
        chips=tuple(BarLink(chip.label, query.url(chip.without)) for chip in own.chips()),
        ranges=ranges,
        own_range=_range_label(own) if (own.since and not named) or own.until else "Custom…",
        has_own_range=bool(own.until) or (own.since is not None and not named),
        since_value=_input_value(own.since),
        until_value=_input_value(own.until),
        text_without_range=without_range.text(),
        histogram_base=query.url(without_range),
        ndjson="",
        csv="",
        completions=list_address("completions"),
        placeholder='type:error.occurred tool:search* "payment amount" -severity:info since:2h',
        errors=None,
        problem=chosen.problem,
        suggestion_address=_suggestion_address(query),
        scope_name=chosen.scope.key,
    )


def summary_with_alternatives(reader: Reader, chosen: ScopedFilter) -> FilterSummary:
    """Return the summary of the filter within its scope.

    If the filter sets values of a facet's key, the facet has these as the filter counts them, and then other values,
    as the filter without its values counts them: alternatives to add.
    """
    summary = reader.summary(chosen.effective_filter)
    facets, alternatives_sampled = dict(summary.facets), False
    for key in (each.name for each in facet_keys()):
        values = chosen.own.values(key)
        if key != chosen.scope.key and values:
            kept = tuple(c for c in chosen.own.conditions if c.key != key or c.negated)
            without = reader.summary(chosen.scope.applied(replace(chosen.own, conditions=kept)))
            facets[key] = (
                *(each for each in summary.facets.get(key, ()) if each.value in values),
                *(each for each in without.facets.get(key, ()) if each.value not in values),
            )
            alternatives_sampled = alternatives_sampled or without.sampled
    return replace(summary, facets=facets, alternatives_sampled=alternatives_sampled)


def without_errors_only(reader: Reader, chosen: ScopedFilter) -> Count | None:
    """Return the number of events without "Errors only"; None if "Errors only" is not set."""
    return reader.count(chosen.effective_filter.errors(False)) if chosen.effective_filter.errors_only else None


def _ranges(query: FilteredQuery, preset: str) -> tuple[BarLink, ...]:
    own = query.filter.own

    def over(since: TimeBound | None) -> str:
        return query.url(replace(own, since=since, until=None))

    everything = BarLink("All", over(None), own.since is None and own.until is None)
    return (
        everything,
        *(BarLink(label, over(TimeBound.parse(text)), text == preset) for text, label in PRESETS),
    )


def _streams(query: ListQuery, names: Sequence[str]) -> tuple[BarLink, ...]:
    """Return links to one stream or to all streams; empty if there is only one stream."""
    if len(names) < 2:
        return ()
    own = query.filter.own
    chosen = own.values("stream")
    kept = replace(own, conditions=tuple(c for c in own.conditions if c.key != "stream" or c.negated))
    return (
        BarLink("All streams", query.url(kept), not chosen),
        *(BarLink(name, query.url(kept.also("stream", name)), name in chosen) for name in names),
    )


def _range_label(own: EventFilter) -> str:
    if own.since and own.since.ago is not None and not own.until:
        return f"Last {own.since.describe()}"
    since = own.since.describe().removesuffix(" UTC") if own.since else "…"
    until = own.until.describe().removesuffix(" UTC") if own.until else "…"
    if since[:11] == until[:11] and len(since) > 11:
        until = until[11:]
    return f"{since} – {until}"


def _input_value(bound: TimeBound | None) -> str:
    return bound.moment.strftime("%Y-%m-%dT%H:%M:%S") if bound and bound.moment else ""


def _errors_link(query: ListQuery) -> BarLink:
    own = query.filter.own
    return BarLink("Errors only", query.url(own.errors(not own.errors_only)), own.errors_only)


def _sentence(chosen: ScopedFilter) -> str:
    """Return the filter in words. A fingerprint is not a word: its page has the message."""
    if chosen.scope.key == "group":
        return f"errors of this group{chosen.own.errors().describe().removeprefix('errors')}"
    # Of all events, the number alone states it.
    return chosen.effective_filter.describe() if chosen.effective_filter else ""


def _counts(chosen: ScopedFilter, summary: FilterSummary, of: Count | None) -> str:
    duplicates = "duplicate" if str(summary.duplicates) == "1" else "duplicates"
    besides = f" + {summary.duplicates} {duplicates}" if summary.duplicates.value else ""
    if chosen.scope.key == "group":
        return f"{summary.events}{besides}"
    if of is not None:
        return f"{summary.events} of {of} {'event' if str(of) == '1' else 'events'}{besides}"
    noun = "event" if str(summary.events) == "1" else "events"
    errors = "error" if str(summary.errors) == "1" else "errors"
    return f"{summary.events} {noun}, {summary.errors} {errors}{besides}"


def _sampled(summary: FilterSummary, *, with_histogram: bool) -> str:
    """Return a sentence on the events that facets and histogram leave out; "" if there are none."""
    parts = []
    if summary.sampled:
        parts.append(f"Facets{' and histogram' if with_histogram else ''}: newest {summary.sample:,} events.")
    elif summary.alternatives_sampled:
        parts.append(f"Values to add: of the newest {filter_summary.SAMPLE_MAX:,} events.")
    if with_histogram:
        drawn = summary.histogram
        parts.append(not_drawn(drawn.earlier, drawn.later, drawn.buckets))
    return " ".join(filter(None, parts))


def _facets(query: ListQuery, summary: FilterSummary) -> tuple[Facet, ...]:
    facets, own = [], query.filter.own
    for key in (each.name for each in facet_keys()):
        values = summary.facets.get(key, ())
        chosen = own.values(key)
        counted: Mapping[str, int] = {facet.value: facet.count for facet in values}
        shown: Sequence[str] = (*chosen, *(value for value in counted if value not in chosen))
        if key == query.filter.scope.key or not any(shown) or (key == "stream" and len(shown) < 2 and not chosen):
            continue
        most = max(counted.values(), default=1)
        links = tuple(
            FacetLink(
                value=value,
                count=counted.get(value, 0),
                width=round(counted.get(value, 0) / most * 100, 2),
                address=query.url(_toggled(own, key, value)),
                is_set=value in chosen,
                is_addition=bool(chosen) and value not in chosen,
            )
            for value in shown[:FACET_VALUES]
        )
        facets.append(Facet(key, BY_NAME[key].facet, links, 0 if chosen else summary.others.get(key, 0)))
    return tuple(facets)


def _suggestion_address(query: FilteredQuery) -> str:
    problem = query.filter.problem
    if problem is None or not problem.suggestion:
        return ""
    others = [(name, value) for name, value in query.filter.pairs if name != "q"]
    return with_query(query.path, [*query.kept, ("q", problem.suggestion), *others])


def _toggled(own: EventFilter, key: str, value: str) -> EventFilter:
    return own.without(Condition(key, value)) if value in own.values(key) else own.also(key, value)


def _histogram(query: ListQuery, summary: FilterSummary) -> HistogramPicture | None:
    def over(since: datetime, until: datetime) -> str:
        return query.url(query.filter.own.between(since, until))

    return histogram_picture(summary.histogram.buckets, over)
