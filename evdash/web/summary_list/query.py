"""The query of a list of sessions or users: the filter, its order, its position and its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from django.http import HttpRequest, QueryDict

from evdash.eventlog.selections import BY_LAST, COUNT_MAX, FIRST, ListPosition, Order, sort_columns
from evdash.events.filters.event_filter import EventFilter, FilterError, parameters_of
from evdash.events.filters.keys import Condition
from evdash.events.filters.summary_filter import SESSIONS, Selection, SummaryFilter, SummaryKind
from evdash.web.event_list.list_query import (
    InvalidQuery,
    ScopedFilter,
    entry_cursor_in,
    filter_pairs,
    values_by_name,
)
from evdash.web.links import page_address, with_query

ROWS: Final = 50
ACTIVITY: Final = ("activity", "tools")
"""Columns of sessions that are read for the rows of a page, so that a list cannot be sorted by them."""
FILTERS_MAX: Final = 20
"""Limit of the filters in `with=` and `except=`."""


@dataclass(frozen=True, slots=True)
class SummaryListQuery:
    """The query of a list of sessions or users.

    `with=` names further filters that other events of the session or user may match, `except=` filters of those that
    are left out.
    """

    path: str
    kind: SummaryKind
    filter: ScopedFilter
    also: tuple[SummaryFilter, ...] = ()
    excluded: tuple[SummaryFilter, ...] = ()
    order: Order = BY_LAST
    position: ListPosition = FIRST
    columns: tuple[str, ...] = ()  # empty: the usual ones

    @classmethod
    def from_request(cls, request: HttpRequest, kind: SummaryKind) -> Self:
        """Return the query of a request. Raise InvalidQuery for what is not in the filter box."""
        params = request.GET
        before, after = entry_cursor_in(params)
        order = _order_in(params, kind)
        return cls(
            page_address(request),
            kind,
            ScopedFilter.parse(params, keys=kind.keys),
            filters_in(params, "with", kind),
            filters_in(params, "except", kind),
            order,
            ListPosition(order, before, after, _skip_in(params), ROWS),
            tuple(dict.fromkeys(name for name in params.getlist("columns") if name in column_names(kind))),
        )

    @property
    def selection(self) -> Selection:
        """The sessions or users of the list."""
        return Selection(SummaryFilter(self.kind, self.filter.own), self.also, self.excluded)

    @property
    def kept(self) -> tuple[tuple[str, str], ...]:
        """The parameters other than the filter that every URL of the list has."""
        pairs = [("with", each.written.text()) for each in self.also]
        pairs += [("except", each.written.text()) for each in self.excluded]
        if not self.order.is_by_last_entry:
            pairs.append(("sort", sort_text(self.order)))
        return (*pairs, *(("columns", name) for name in self.columns))

    def url(self, own: EventFilter | None = None, **position: str) -> str:
        """Return the URL of the list's beginning or of a position, with another filter if `own` is given."""
        pairs = [*self.kept, *(self.filter.pairs if own is None else filter_pairs(own))]
        return with_query(self.path, [*pairs, *position.items()])

    def selected_pairs(self) -> list[tuple[str, str]]:
        """Return the parameters of a list with the same sessions or users, without order and columns."""
        return [*(pair for pair in self.kept if pair[0] in ("with", "except")), *self.filter.pairs]

    def toggled(self, key: str, value: str) -> SummaryListQuery:
        """Return the list of those that also have an event with this value; without that if it is stated already."""
        wanted = SummaryFilter(self.kind, EventFilter((Condition(key, value),)))
        kept = tuple(each for each in self.also if each != wanted)
        return replace(self, also=kept if len(kept) < len(self.also) else (*self.also, wanted))

    def sorted_by(self, column: str, *, is_text: bool) -> SummaryListQuery:
        """Return the list sorted by a column: texts from A, numbers from the largest, a second time the reverse."""
        natural = Order(column, descending=not is_text)
        order = replace(natural, descending=not natural.descending) if self.order == natural else natural
        return replace(self, order=order)


def column_names(kind: SummaryKind) -> tuple[str, ...]:
    """Return the columns that a list of this kind can show."""
    return (*sort_columns(kind), *(ACTIVITY if kind is SESSIONS else ()))


def filters_in(params: QueryDict, name: str, kind: SummaryKind) -> tuple[SummaryFilter, ...]:
    """Return the filters in a repeated parameter. Raise InvalidQuery."""
    texts: Sequence[str] = [text for text in params.getlist(name) if text.strip()]
    if len(texts) > FILTERS_MAX:
        raise InvalidQuery(f"{name}= can be given at most {FILTERS_MAX} times.")
    try:
        return tuple(SummaryFilter.parse(kind, text) for text in texts)
    except FilterError as error:
        raise InvalidQuery(f"{name}= {error}") from None


@dataclass(frozen=True, slots=True)
class SelectionQuery:
    """The query of an export of sessions or users: a selection alone."""

    selection: Selection

    @classmethod
    def from_request(cls, request: HttpRequest, kind: SummaryKind) -> Self:
        """Return the selection of a request. Raise FilterError or InvalidQuery, also for an unknown parameter."""
        params = request.GET
        valid = (*parameters_of(kind.keys), "with", "except")
        for name in params:
            if name not in valid:
                raise FilterError(f"Unknown export parameter {name[:40]!r}. Valid: {', '.join(valid)}.", name)
        return cls(
            Selection(
                SummaryFilter.from_query(kind, values_by_name(params)),
                filters_in(params, "with", kind),
                filters_in(params, "except", kind),
            )
        )


def sort_text(order: Order) -> str:
    """Return an order as `sort=` has it: the column, with a minus if it is descending."""
    return f"{'-' if order.descending else ''}{order.column}"


def _order_in(params: QueryDict, kind: SummaryKind) -> Order:
    text = params.get("sort", "")
    order = Order(text.removeprefix("-"), text.startswith("-")) if text else BY_LAST
    if order.column not in sort_columns(kind):
        names = ", ".join(sort_columns(kind))
        raise InvalidQuery(f"sort= accepts {names}, with a minus in front for the reverse order.")
    return order


def _skip_in(params: QueryDict) -> int:
    text = params.get("skip", "") or "0"
    if not (text.isascii() and text.isdigit()) or int(text) > COUNT_MAX:
        raise InvalidQuery(f"skip= accepts a number from 0 to {COUNT_MAX:,}.")
    return int(text)
