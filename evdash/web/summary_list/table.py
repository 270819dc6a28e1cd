"""The columns of lists of sessions and users, and the links between the pages of a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from evdash.eventlog.records import Count, SessionPage, UserPage
from evdash.eventlog.selections import COUNT_MAX, sort_columns
from evdash.events.filters.summary_filter import SESSIONS, SummaryKind
from evdash.web.links import with_query
from evdash.web.summary_list.query import ROWS, SummaryListQuery


class _Shown(NamedTuple):
    """A column as it is shown if the address names no columns, in windows of some widths."""

    label: str
    width: str = ""  # a class of tables.css; "": every window
    is_optional: bool = False  # only if the address names it
    is_figure: bool = True


_SESSION: Final[Mapping[str, _Shown]] = {
    "session": _Shown("Session", is_figure=False),
    "user": _Shown("User", "wide-only", is_figure=False),
    "last": _Shown("Last entry", is_figure=False),
    "started": _Shown("Started", "widest-only", is_figure=False),
    "duration": _Shown("Duration", "wide-only"),
    "outcome": _Shown("Outcome", is_figure=False),
    "events": _Shown("Events", "wide-only"),
    "errors": _Shown("Errors"),
    "calls": _Shown("Tool calls", "wide-only"),
    "messages": _Shown("Messages", "widest-only"),
    "searches": _Shown("Searches", is_optional=True),
    "tokens": _Shown("Tokens", "wide-only"),
    "agent": _Shown("Agent", "wide-only", is_figure=False),
    "model": _Shown("Model", "widest-only", is_figure=False),
    "tools": _Shown("Tools", is_optional=True, is_figure=False),
    "activity": _Shown("Activity", is_optional=True, is_figure=False),
}
_USER: Final[Mapping[str, _Shown]] = {
    "user": _Shown("User", is_figure=False),
    "last": _Shown("Last entry", is_figure=False),
    "first": _Shown("First entry", "wide-only", is_figure=False),
    "sessions": _Shown("Sessions"),
    "events": _Shown("Events", "wide-only"),
    "errors": _Shown("Errors"),
    "tokens": _Shown("Tokens", "wide-only"),
}
_LEFT_OUT_IF_EMPTY: Final = ("user", "agent", "model", "tokens", "messages")


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of the table: its heading, its classes, and the link that sorts by it."""

    name: str
    label: str
    classes: str
    address: str = ""
    sort: str = ""  # aria-sort of the column that the list is sorted by


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """A column in the form that chooses columns."""

    name: str
    label: str
    is_shown: bool
    is_of_wide_windows: bool  # without a choice, other windows do not show it


def columns_of(
    kind: SummaryKind, rows: Sequence[Any], query: SummaryListQuery | None = None, *, without: str = ""
) -> tuple[TableColumn, ...]:
    """Return the columns of a table with these summaries; those of a query have links. The first one is the name."""
    chosen = query.columns if query else ()
    return tuple(
        _column(kind, name, shown, query, is_chosen=bool(chosen))
        for name, shown in _of(kind).items()
        if name != without and (name == kind.noun or _is_shown(kind, name, shown, chosen, rows))
    )


def _of(kind: SummaryKind) -> Mapping[str, _Shown]:
    return _SESSION if kind is SESSIONS else _USER


def _is_shown(kind: SummaryKind, name: str, shown: _Shown, chosen: Sequence[str], rows: Sequence[Any]) -> bool:
    if chosen:
        return name in chosen
    if name in _LEFT_OUT_IF_EMPTY and rows and not any(sort_columns(kind)[name].value(row) for row in rows):
        return False
    return not shown.is_optional


def _column(
    kind: SummaryKind, name: str, shown: _Shown, query: SummaryListQuery | None, *, is_chosen: bool
) -> TableColumn:
    classes = " ".join(filter(None, ("figure" if shown.is_figure else "", "" if is_chosen else shown.width)))
    if query is None or name not in sort_columns(kind):
        return TableColumn(name, shown.label, classes)
    is_sorted = query.order.column == name
    return TableColumn(
        name,
        shown.label,
        classes,
        query.sorted_by(name, is_text=sort_columns(kind)[name].is_text).url(),
        ("descending" if query.order.descending else "ascending") if is_sorted else "",
    )


def column_choices(kind: SummaryKind, columns: Sequence[TableColumn]) -> tuple[ColumnChoice, ...]:
    """Return all columns but the name, and which of them are shown."""
    shown = {column.name for column in columns}
    return tuple(
        ColumnChoice(name, each.label, name in shown, each.width == "widest-only")
        for name, each in _of(kind).items()
        if name != kind.noun
    )


class PageLinks(NamedTuple):
    """The links to the other pages of a list; "" without one."""

    first: str
    previous: str
    next: str


def page_links(query: SummaryListQuery, page: SessionPage | UserPage) -> PageLinks:
    """Return the links of a page of the list."""
    position = query.position
    if query.order.is_by_last_entry:
        return PageLinks(
            query.url() if position.before or position.after else "",
            query.url(after=str(page.newer)) if page.newer else "",
            query.url(before=str(page.older)) if page.older else "",
        )
    skip = position.skip
    return PageLinks(
        query.url() if skip else "",
        (query.url(skip=str(skip - ROWS)) if skip > ROWS else query.url()) if skip else "",
        query.url(skip=str(skip + ROWS)) if page.has_more and skip + ROWS <= COUNT_MAX else "",
    )


def printed_words(query: SummaryListQuery, rows: Sequence[Any], total: Count, links: PageLinks) -> str:
    """Return the sentence on what a print of the page has."""
    noun = f"{query.kind.noun}{'' if len(rows) == 1 else 's'}"
    if any(links):
        return f"{len(rows)} of {total} {noun}. The export has all of them."
    return f"All {len(rows)} {noun}."


def form_pairs(query: SummaryListQuery) -> tuple[tuple[str, str], ...]:
    """Return the parameters that the form for columns repeats."""
    return (*replace(query, columns=()).kept, *query.filter.pairs)


def without_position(query: SummaryListQuery) -> str:
    """Return the list with the usual columns."""
    return with_query(query.path, form_pairs(query))
