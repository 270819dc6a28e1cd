"""Small tables of error rates: tools by rate, and the values of one key that an error group has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

from evdash.events.breakdown import Breakdown, BreakdownQuery, BreakdownRow, breakdown_query
from evdash.events.error_rates import ErrorCounts, breakdown_of_counts
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import BY_NAME
from evdash.web.event_list.breakdown_panel import BreakdownLine
from evdash.web.event_list.list_query import ERRORS, filter_pairs
from evdash.web.links import filtered_address, with_query

TOOLS_SHOWN: Final = 8
VALUES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class RateTable:
    """The context of templates/parts/_rates.html: values of a key with their errors and error rates."""

    label: str
    lines: tuple[BreakdownLine, ...]
    of_calls: bool  # rates are shares of calls, else of events
    events: int  # the number of events that are compared
    is_complete: bool  # False: these are the newest events
    further: int = 0  # values with errors that have no line
    has_marks: bool = False


def tool_query(own: EventFilter) -> BreakdownQuery:
    """Return the breakdown by tool of the errors that a filter matches."""
    return breakdown_query("tool", own, ERRORS.applied)


def tool_rates(found: ErrorCounts, requested: BreakdownQuery) -> RateTable:
    """Return the tools with errors, the highest error rate first.

    `found` are the counts by tool of the breakdown `requested` (`tool_query`). The result is the context of
    templates/parts/_tool_rates.html, as `tool_rates`.
    """
    breakdown = breakdown_of_counts(found, "tool", chosen=requested.chosen)
    rows = sorted((row for row in breakdown.rows if row.errors), key=attrgetter("rate", "errors"), reverse=True)
    errors = requested.errors.errors().conditions
    within = replace(requested.events, conditions=(*requested.events.conditions, *errors))

    def address(value: str) -> str:
        return filtered_address("errors", within.also("tool", value))

    return _table(breakdown, rows, address, TOOLS_SHOWN)


def rates_of_group(found: ErrorCounts, requested: BreakdownQuery, page: str) -> RateTable:
    """Return the values of a key that the errors of a group have, most errors first; `page` is the group's address."""
    breakdown = breakdown_of_counts(found, requested.key, chosen=requested.chosen)

    def address(value: str) -> str:
        return with_query(page, filter_pairs(requested.events.also(requested.key, value)))

    return _table(breakdown, [row for row in breakdown.rows if row.errors], address, VALUES_SHOWN)


def _table(breakdown: Breakdown, rows: Sequence[BreakdownRow], address: Callable[[str], str], shown: int) -> RateTable:
    lines = tuple(BreakdownLine(row, row.value, address(row.value)) for row in rows[:shown])
    return RateTable(
        label=BY_NAME[breakdown.key].facet,
        lines=lines,
        of_calls=breakdown.of_calls,
        events=breakdown.events,
        is_complete=breakdown.is_complete,
        further=len(rows) - len(lines),
        has_marks=any(line.row.is_marked for line in lines),
    )
