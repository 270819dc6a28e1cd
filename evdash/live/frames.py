"""Frames: batches of one filter's events, rendered once, with the same bytes for every page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from django.utils.functional import cached_property

from evdash.eventlog.records import Position
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.filters.search_text import search_text
from evdash.web.event_display.row import ViewMode

FRAME_ROWS = 100
FRAME_BYTES = 160 * 1024

Cursor = Mapping[str, EntryId]
"""For each stream the entry ID up to which a page has everything."""


class Render(Protocol):
    """A function that renders an event's row."""

    def __call__(self, event: Event, view: ViewMode = "events", *, is_duplicate: bool = False) -> str:
        """Return the row as HTML, an <li>, in this view mode."""


def later(one: Cursor, other: Cursor) -> dict[str, EntryId]:
    """Return the higher entry ID of both cursors for each stream."""
    return {stream: max(one.get(stream, EntryId.MIN), other.get(stream, EntryId.MIN)) for stream in {**one, **other}}


def is_beyond(position: Position, cursor: Cursor) -> bool:
    """Return whether the entry is after the cursor. Every entry of a stream without a cursor is."""
    seen = cursor.get(position.stream)
    return seen is None or position.entry_id > seen


class Arrival:
    """A received event. Its rows and search text are computed once, when a page or filter first needs them."""

    def __init__(self, event: Event, render: Render, *, is_duplicate: bool = False) -> None:
        self.event = event
        self.position = Position.of(event)
        self._render = render
        self._is_duplicate = is_duplicate
        self._rows: dict[ViewMode, str] = {}

    def row(self, view: ViewMode) -> str:
        """Return the row as HTML, escaped for `rows_message`."""
        if view not in self._rows:
            self._rows[view] = escaped(self._render(self.event, view, is_duplicate=self._is_duplicate))
        return self._rows[view]

    @cached_property
    def search_text(self) -> str:
        return search_text(self.event)


@dataclass(frozen=True)
class Frame:
    """The events that matched since the previous frame, oldest first.

    `arrivals` are shown as rows; the older `unshown` ones are only counted.
    """

    arrivals: tuple[Arrival, ...]
    unshown: tuple[Position, ...]  # matched, but beyond the number of rows per frame
    cursor: Cursor
    view: ViewMode = "events"

    @property
    def count(self) -> int:
        return len(self.arrivals) + len(self.unshown)

    @property
    def start(self) -> Position:
        """The position directly before the frame's lowest entry ID.

        The first event may have a higher ID than a later one of another stream, so all positions are compared.
        """
        positions = (*self.unshown, *(arrival.position for arrival in self.arrivals))
        return before(min(positions, key=lambda position: position.entry_id))

    @property
    def shown(self) -> int:
        """The number of rows in the message."""
        return self.fitting[1]

    @cached_property
    def message(self) -> str:
        """The message that is sent to a page, as JSON text."""
        rows, shown = self.fitting
        return rows_message(rows, shown, self.cursor, Skipped(self.count - shown, self.start))

    @cached_property
    def fitting(self) -> tuple[str, int]:
        """The newest rows within FRAME_BYTES characters, escaped, and their number. The newest always fits."""
        rows: list[str] = []
        size = 0
        for arrival in reversed(self.arrivals):
            row = arrival.row(self.view)
            size += len(row)
            if rows and size > FRAME_BYTES:
                break
            rows.append(row)
        return "".join(reversed(rows)), len(rows)

    @cached_property
    def _first(self) -> Cursor:
        first: dict[str, EntryId] = {}
        for position in (*self.unshown, *(arrival.position for arrival in self.arrivals)):
            first.setdefault(position.stream, position.entry_id)
        return first

    def beyond(self, cursor: Cursor) -> Frame | None:
        """Return the part of the frame after the page's cursor: nearly always the frame itself, a part, or None.

        The result's cursor is never before the page's. The page may be ahead in a stream after a catch-up.
        """
        is_all_new = all(cursor.get(stream, EntryId.MIN) < entry_id for stream, entry_id in self._first.items())
        if is_all_new and all(entry_id <= self.cursor.get(stream, EntryId.MIN) for stream, entry_id in cursor.items()):
            return self
        arrivals = tuple(arrival for arrival in self.arrivals if is_beyond(arrival.position, cursor))
        unshown = tuple(position for position in self.unshown if is_beyond(position, cursor))
        return Frame(arrivals, unshown, later(self.cursor, cursor), self.view) if arrivals or unshown else None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A count of matching events that were not sent, and the position after which they can be read."""

    count: int
    after: Position
    is_exact: bool = True  # False: `count` is a lower bound

    def joined(self, other: Skipped) -> Skipped:
        """Return both gaps as one."""
        after = min(self.after, other.after, key=lambda position: position.entry_id)
        return Skipped(self.count + other.count, after, self.is_exact and other.is_exact)


def before(position: Position) -> Position:
    """Return the position directly before this one in its stream."""
    return Position(position.entry_id.previous(), position.stream)


def escaped(html: str) -> str:
    """Return a row as the inside of a JSON string. It is escaped once; many messages contain it."""
    return json.dumps(html, ensure_ascii=False)[1:-1]


def rows_message(rows: str, count: int, cursor: Cursor, gap: Skipped | None) -> str:
    """Return the JSON message with `escaped` rows for a page, oldest first, after the skipped `gap`.

    The page's acknowledgement of the message covers the gap as well.
    """
    fields: dict[str, Any] = {"count": count, "cursor": written(cursor), "skipped": 0}
    if gap and (gap.count or not gap.is_exact):
        fields |= {"skipped": gap.count, "skipped_exactly": gap.is_exact, "skipped_after": str(gap.after)}
    return f'{{"type": "rows", "html": "{rows}", {json.dumps(fields, ensure_ascii=False)[1:]}'


def written(cursor: Cursor) -> dict[str, str]:
    """Return a cursor with its entry IDs as text, the form that pages keep."""
    return {stream: str(entry_id) for stream, entry_id in cursor.items()}
