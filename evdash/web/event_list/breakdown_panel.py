"""The breakdown of a list by one key, and the links to breakdowns."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from typing import Final

from evdash.eventlog.reader import Reader
from evdash.events.breakdown import Breakdown, BreakdownQuery, BreakdownRow, breakdown_query, folded, is_value_of
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import BY_NAME, FIELD_PREFIX, Condition, facet_keys
from evdash.web.event_list.filter_bar import BarLink
from evdash.web.event_list.list_query import ListQuery
from evdash.web.formatting import format_percent
from evdash.web.links import filtered_address

NAMES_MAX: Final = 60
"""Names of fields that the form offers."""
_NAME_CHARS: Final = 60


@dataclass(frozen=True, slots=True)
class BreakdownLine:
    """A row of the table."""

    row: BreakdownRow
    label: str
    address: str  # the list narrowed to the value, or without it; "": no filter states these values
    events_address: str = ""  # of the events with the value, if the list has only errors
    errors_address: str = ""  # of the errors with the value
    is_set: bool = False

    @property
    def rate(self) -> str:
        return _rate(self.row.rate)

    @property
    def rest_rate(self) -> str:
        return "–" if self.row.rest_rate is None else _rate(self.row.rest_rate)

    @property
    def lift(self) -> str:
        """The error rate as a multiple of that of the others: `8.2×`; "" without errors."""
        if not self.row.errors or self.row.rest_rate is None:
            return ""
        if self.row.lift is None:
            return "only here"
        return f"{self.row.lift:.1f}×" if self.row.lift < 100 else f"{self.row.lift:,.0f}×"

    @property
    def width(self) -> float:
        """The share of all events, in per cent."""
        return round(self.row.share * 100, 2)


@dataclass(frozen=True, slots=True)
class BreakdownPanel:
    """The context of templates/event_list/_breakdown.html."""

    keys: tuple[BarLink, ...]  # breakdowns by the usual keys
    action: str  # of the form for another key
    kept: tuple[tuple[str, str], ...]  # parameters that the form repeats
    names: tuple[str, ...]  # of fields of the listed events
    written: str = ""  # the text in the form
    problem: str = ""  # why there is no breakdown by it
    label: str = ""
    lines: tuple[BreakdownLine, ...] = ()
    breakdown: Breakdown | None = None  # None: the list has no breakdown
    is_of_errors: bool = False  # the list has only errors, the breakdown all events
    is_of_field: bool = False
    close_address: str = ""


def breakdown_panel(
    reader: Reader, query: ListQuery, facets: Container[str], events: Iterable[Event]
) -> BreakdownPanel:
    """Return the links to breakdowns of a list, which shows these events, and its breakdown if it has one.

    `facets` are the keys of which the list has values.
    """
    keys = tuple(
        BarLink(key.facet, replace(query, by=key.name).url(), key.name == query.by)
        for key in facet_keys()
        if key.name in facets or key.name == query.by
    )
    without = replace(query, by="")
    is_of_field = bool(query.by) and (query.by not in BY_NAME or bool(BY_NAME[query.by].field))
    panel = BreakdownPanel(
        keys,
        without.url(),
        (*without.kept, *query.filter.pairs),
        _names(events),
        written=_written(query.by) if is_of_field or query.by_problem else "",
        problem=query.by_problem,
        is_of_field=is_of_field,
        close_address=without.url(),
    )
    if not query.by or query.by_problem or query.filter.problem:
        return panel
    requested = breakdown_query(query.by, query.filter.own, query.filter.scope.applied)
    found = reader.breakdown(requested)
    lines = [_line(query, requested, row) for row in found.rows]
    if found.others:
        lines.append(BreakdownLine(found.others, f"{found.further:,} other values", ""))
    if found.absent and is_of_field:  # also a long value, and JSON: no filter states these
        lines.append(BreakdownLine(found.absent, "absent, JSON or too long", ""))
    elif found.absent:
        lines.append(BreakdownLine(found.absent, "absent", query.url(_lacking(query.filter.own, query.by))))
    return replace(panel, label=_label(query.by), lines=tuple(lines), breakdown=found, is_of_errors=requested.by_errors)


def _line(query: ListQuery, requested: BreakdownQuery, row: BreakdownRow) -> BreakdownLine:
    own, key = query.filter.own, requested.key
    is_set = row.value in requested.chosen
    same = [c for c in own.conditions if is_value_of(c, key)]
    others = tuple(c for c in own.conditions if c not in same)
    alone = replace(own, conditions=others).also(key, row.value)
    if is_set:
        kept = tuple(c for c in own.conditions if c not in same or folded(key, c.value) != row.value)
        address = query.url(replace(own, conditions=kept))
    else:
        address = query.url(own.also(key, row.value))
    events_address = filtered_address("events", requested.events.also(key, row.value)) if requested.by_errors else ""
    of_errors = alone if requested.by_errors else alone.errors()
    return BreakdownLine(
        row=row,
        label=row.value,
        address=address if is_set or row.errors or not requested.by_errors else events_address,
        events_address=events_address,
        errors_address=replace(query, by="").url(of_errors) if row.errors else "",
        is_set=is_set,
    )


def _written(key: str) -> str:
    """Return the key as the form takes it: a field without the prefix, unless a key has its name."""
    name = key.removeprefix(FIELD_PREFIX)
    return key if name.lower() in BY_NAME else name


def _rate(share: float) -> str:
    return format_percent(share) if share else "0 %"


def _lacking(own: EventFilter, key: str) -> EventFilter:
    """Return the filter for events that lack the property, instead of those with some values of it."""
    kept = tuple(c for c in own.conditions if c.key != key or c.negated)
    condition = Condition(key, "", negated=True, prefix=True)
    return replace(own, conditions=(*(c for c in kept if c != condition), condition))


def _label(key: str) -> str:
    known = BY_NAME.get(key)
    return key.removeprefix(FIELD_PREFIX) if known is None else known.facet or (known.noun or known.name).capitalize()


def _names(events: Iterable[Event]) -> tuple[str, ...]:
    """Return the names of fields that the events have, and the paths of the first levels of their JSON."""
    names: dict[str, None] = {}
    for event in events:
        for name, value in event.data.items():
            inside = value.keys() if isinstance(value, dict) else ()
            for path in [f"{name}.{key}" for key in inside] or [name]:
                if name and len(path) <= _NAME_CHARS and path.isprintable():
                    names.setdefault(_written(f"{FIELD_PREFIX}{path}"))
        if len(names) > NAMES_MAX:
            break
    return tuple(sorted(names)[:NAMES_MAX])
