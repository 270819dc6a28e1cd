"""Printed lists of events: their whole texts, and the sentence on what a page of paper lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from evdash.eventlog.records import Count, EventPage
from evdash.events.one_line import LINE_CHARS
from evdash.web.event_display.row import RAW_CHARS, RAW_FIELDS, PrintedField, Row, ViewMode
from evdash.web.event_list.list_query import ROWS_AT_MOST, ListQuery
from evdash.web.event_list.pagination import RowList
from evdash.web.text_display.shown_text import TURN

# With more characters, a page takes too long. About 1,000 pages of paper.
PRINTED_CHARS: Final = 4_000_000
SHOW_ALL: Final = "Show all"
WHOLE_TEXTS: Final = "Whole texts"


def with_printed_fields(rows: RowList, chars: int = PRINTED_CHARS) -> tuple[RowList, bool]:
    """Return the list with the fields that its rows do not print in full, and whether all of them fit."""
    left = chars
    printed: dict[str, tuple[PrintedField, ...]] = {}
    for row in rows.rows:
        fields = _printed_fields(row, rows.view)
        left -= sum(len(field.name) + len(field.value) for field in fields)
        if left < 0:
            break
        printed[row.entry] = fields

    def whole(row: Row) -> Row:
        return replace(row, printed=printed.get(row.entry, ()), shows_whole=row.entry in printed)

    items = tuple(whole(item) if isinstance(item, Row) else item for item in rows.items)
    return replace(rows, rows=tuple(map(whole, rows.rows)), items=items), left >= 0


def _printed_fields(row: Row, view: ViewMode) -> tuple[PrintedField, ...]:
    """Return the fields of the entry, without those that are the source of a text that the row has in full."""
    fields = tuple(PrintedField(field.name, field.value) for field in row.event.fields)
    if view == "raw":
        return tuple(each for n, each in enumerate(fields) if n >= RAW_FIELDS or len(each.value) > RAW_CHARS)
    profile = row.event.profile
    text = row.turn.text if view == "conversation" else row.one_line.text
    shown = {_source(fields, profile.content + profile.result_text + profile.prose, text)}
    if view == "events":
        shown.add(_source(fields, profile.type + profile.weak_type, row.event.type))
    return tuple(each for each in fields if each not in shown)


def _source(fields: Sequence[PrintedField], names: Sequence[str], text: str) -> PrintedField | None:
    """Return the field with this text and the first of these names, or None."""
    return next((each for name in names if (each := PrintedField(name, text)) in fields), None)


def print_sentence(page: EventPage, query: ListQuery, total: Count, *, is_whole: bool) -> str:
    """Return which of the events a print of the page has, and what it cuts. `total` is their number."""
    shown = len(page.events) - len(page.duplicates)
    is_all = not (page.newer or page.older or page.searched_to)
    noun = "matching events" if query.filter.own else "events"
    if is_all:
        which = f"All {total} {noun}" if total.value > 1 else f"The only {noun[:-1]}" if shown else f"No {noun}"
    elif page.older is None and shown:
        which = f"{noun.capitalize()} 1–{shown:,} of {total}"
    else:
        which = f"{shown:,} of {total} {noun}"
    if is_whole:
        return f"{which}, with whole texts." if is_all else f"{which}, with whole texts. The export has all."
    if query.shows_all:
        return f"{which}; texts after the first {PRINTED_CHARS // 1_000_000} million characters are cut. {_EXPORT}"
    if not query.oldest_first or total.value > ROWS_AT_MOST:
        return f"{which}; {_CUT[query.view]}. {_EXPORT}"
    label = WHOLE_TEXTS if is_all else SHOW_ALL
    return f"{which}; {_CUT[query.view]}. “{label}” and the export have everything."


_EXPORT: Final = "The export has everything."
_CUT: Final = {
    "events": f"texts are cut after {LINE_CHARS} characters",
    "conversation": f"texts are cut after {TURN.chars:,} characters or {TURN.lines} lines",
    "raw": f"values are cut after {RAW_CHARS} characters",
}
