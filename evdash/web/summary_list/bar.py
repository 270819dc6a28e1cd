"""The filter bar of a list of sessions or users: filter, outcomes, facets and numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from evdash.eventlog.records import Count, SelectionCounts
from evdash.events.filters.keys import BY_NAME, Condition
from evdash.events.filters.parser import hint
from evdash.events.filters.summary_filter import SESSIONS, SummaryFilter
from evdash.web.event_list.filter_bar import (
    FACET_VALUES,
    BarLink,
    Facet,
    FacetLink,
    FilterBar,
    bar_without_counts,
)
from evdash.web.event_list.list_query import outcome_label, with_outcome
from evdash.web.formatting import format_count
from evdash.web.links import list_address, with_query
from evdash.web.summary_list.query import SummaryListQuery

_PLACEHOLDERS: Final = {
    "session": "outcome:unresolved errors:>0 tool:search* duration:>60 since:1d",
    "user": 'errors:>0 tool:search* "payment amount" since:1d',
}


def summary_bar(query: SummaryListQuery, counts: SelectionCounts | None) -> FilterBar:
    """Return the filter bar of a list; without counts, or if the filter is invalid, without numbers and facets."""
    kind, own = query.kind, query.filter.own
    selected, nouns = query.selected_pairs(), f"{kind.noun}s"
    bar = replace(
        bar_without_counts(query),
        chips=_chips(query),
        placeholder=_PLACEHOLDERS[kind.noun],
        noun=kind.noun,
        own_keys=kind.own_keys,
        ndjson=with_query(list_address(f"{nouns}-ndjson"), selected),
        csv=with_query(list_address(f"{nouns}-csv"), selected),
    )
    if counts is None or query.filter.problem:
        return bar
    sampled = f"Facets: newest {format_count(counts.sample, kind.noun, nouns)}." if counts.is_sampled else ""
    return replace(
        bar,
        sentence=query.selection.describe() if query.selection else "",
        hint=hint(own.conditions),
        counts=_number(counts.total, kind.noun),
        sampled=sampled,
        facets=(*_outcomes(query, counts), *_facets(query, counts)),
    )


def _number(total: Count, noun: str) -> str:
    return f"{total} {noun}{'' if str(total) == '1' else 's'}"


def _chips(query: SummaryListQuery) -> tuple[BarLink, ...]:
    own = [BarLink(chip.label, query.url(chip.without)) for chip in query.filter.own.chips()]
    also = [
        BarLink(f"also {_label(each)}", replace(query, also=tuple(e for e in query.also if e != each)).url())
        for each in query.also
    ]
    if query.excluded:
        without = " and ".join(map(_label, query.excluded))
        also.append(BarLink(f"except {without}", replace(query, excluded=()).url()))
    return (*own, *also)


def _label(part: SummaryFilter) -> str:
    return part.written.text()


def _outcomes(query: SummaryListQuery, counts: SelectionCounts) -> tuple[Facet, ...]:
    """Return the outcomes as a facet: a link replaces the conditions on the outcome, or takes them away."""
    if query.kind is not SESSIONS or not counts.outcomes.counts:
        return ()
    own = query.filter.own
    most = max(number for _, number in counts.outcomes.counts)
    links = []
    for outcome, number in counts.outcomes.counts[:FACET_VALUES]:
        chosen = with_outcome(own, outcome)
        is_set = set(chosen.conditions) == set(own.conditions)
        links.append(
            FacetLink(
                value=outcome_label(outcome),
                count=number,
                width=round(number / most * 100, 2),
                address=query.url(with_outcome(own, None) if is_set else chosen),
                is_set=is_set,
            )
        )
    others = sum(number for _, number in counts.outcomes.counts[FACET_VALUES:])
    return (Facet("outcome", "Outcome", tuple(links), others),)


def _facets(query: SummaryListQuery, counts: SelectionCounts) -> tuple[Facet, ...]:
    """Return the values that events have. A link selects those that have an event with the value, too."""
    stated = {each.written.conditions for each in query.also}
    facets = []
    for key, values in counts.facets.items():
        if not values or key == query.kind.noun or (key == "stream" and len(values) < 2):
            continue
        most = max(each.count for each in values)
        links = tuple(
            FacetLink(
                value=each.value,
                count=each.count,
                width=round(each.count / most * 100, 2),
                address=query.toggled(key, each.value).url(),
                is_set=(Condition(key, each.value),) in stated,
            )
            for each in values
        )
        facets.append(Facet(key, BY_NAME[key].facet, links, 0))
    return tuple(facets)
