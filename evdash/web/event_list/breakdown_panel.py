"""The breakdown of a list by one key, and the links to breakdowns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from evdash.eventlog.reader import Reader
from evdash.events.breakdown import Breakdown, BreakdownRow
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import BY_NAME, FIELD_PREFIX, Condition, facet_keys
from evdash.web.event_list.filter_bar import BarLink, toggled
from evdash.web.event_list.list_query import ListQuery
from evdash.web.formatting import format_percent

NAMES_MAX: Final = 60
"""Names of fields that the form offers."""
_NAME_CHARS: Final = 60


@dataclass(frozen=True, slots=True)
class BreakdownLine:
    """A row of the table."""

    row: BreakdownRow
    label: str
    address: str  # the list narrowed to the value, or without it; "": no filter states these values
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
    by: str = ""
    label: str = ""
    lines: tuple[BreakdownLine, ...] = ()
    breakdown: Breakdown | None = None  # None: the list has no breakdown
    close_address: str = ""

    @property
    def own_field(self) -> str:
        """The field of the breakdown, as the form has it; "" for the usual keys."""
        return self.label if self.by.startswith(FIELD_PREFIX) else ""


def breakdown_panel(reader: Reader, query: ListQuery, events: Iterable[Event]) -> BreakdownPanel:
    """Return the links to breakdowns of a list, which shows these events, and its breakdown if it has one."""
    hidden = {query.filter.scope.key} | ({"stream"} if len(reader.streams) < 2 else set())
    keys = tuple(
        BarLink(key.facet, replace(query, by=key.name).url(), key.name == query.by)
        for key in facet_keys()
        if key.name not in hidden
    )
    without = replace(query, by="")
    panel = BreakdownPanel(keys, without.url(), (*without.kept, *query.filter.pairs), _names(events))
    if not query.by or query.filter.problem:
        return panel
    found = reader.breakdown(query.filter.effective_filter, query.by)
    own = query.filter.own
    chosen = own.values(query.by)
    lines = []
    for row in found.rows:
        narrowed = query.url(toggled(own, query.by, row.value))
        errors = replace(query, by="").url(own.also(query.by, row.value).errors())
        lines.append(BreakdownLine(row, row.value, narrowed, errors, row.value in chosen))
    if found.others:
        lines.append(BreakdownLine(found.others, f"{found.further:,} other values", ""))
    if found.absent:
        lines.append(BreakdownLine(found.absent, "absent", query.url(_lacking(own, query.by))))
    return replace(
        panel,
        by=query.by,
        label=_label(query.by),
        lines=tuple(lines),
        breakdown=found,
        close_address=without.url(),
    )


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
                    names.setdefault(path)
        if len(names) > NAMES_MAX:
            break
    return tuple(sorted(names)[:NAMES_MAX])
