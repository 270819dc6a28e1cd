"""Frames: some events of one filter, rendered once, the same bytes for every page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from evdash.eventlog.records import Position
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.filters.search_text import search_text
from evdash.web.event_display.row import ViewMode

FRAME_ROWS = 100
FRAME_BYTES = 128 * 1024

Cursor = Mapping[str, EntryId]
"""Per stream, the entry ID up to which a page has everything."""


class Render(Protocol):
    """Makes the row of an event."""

    def __call__(self, event: Event, reading: ViewMode = "events", *, is_duplicate: bool = False) -> str:
        """The row as HTML, an <li>, in this reading."""


def later(one: Cursor, other: Cursor) -> dict[str, EntryId]:
    """Of each stream the later place of both."""
    return {stream: max(one.get(stream, EntryId.MIN), other.get(stream, EntryId.MIN)) for stream in {**one, **other}}


def is_beyond(position: Position, cursor: Cursor) -> bool:
    """Whether the cursor has not come to this entry yet."""
    seen = cursor.get(position.stream)
    return seen is None or position.entry_id > seen


class Arrival:
    """An event that has come; its rows and its search text are made once, when the first page or filter needs them."""

    def __init__(self, event: Event, render: Render, *, is_duplicate: bool = False) -> None:
        self.event = event
        self.position = Position.of(event)
        self._render = render
        self._is_duplicate = is_duplicate
        self._rows: dict[ViewMode, str] = {}

    def html(self, reading: ViewMode) -> str:
        if reading not in self._rows:
            self._rows[reading] = self._render(self.event, reading, is_duplicate=self._is_duplicate)
        return self._rows[reading]

    @cached_property
    def search_text(self) -> str:
        return search_text(self.event)


@dataclass(frozen=True)
class Frame:
    """Events that matched since the frame before, oldest first: rows to show, and older ones only to be counted."""

    arrivals: tuple[Arrival, ...]
    unshown: tuple[Position, ...]  # matched, and too many to show
    cursor: Cursor
    reading: ViewMode = "events"

    @property
    def count(self) -> int:
        return len(self.arrivals) + len(self.unshown)

    @property
    def start(self) -> Position:
        """The place right before everything in the frame, which may have older entries of another stream later."""
        positions = (*self.unshown, *(arrival.position for arrival in self.arrivals))
        return before(min(positions, key=lambda position: position.entry_id))

    @property
    def shown(self) -> int:
        """How many rows the message has."""
        return self.fitting[1]

    @cached_property
    def message(self) -> str:
        """What is sent to a page."""
        html, shown = self.fitting
        return rows_message(html, shown, self.cursor, Gap(self.count - shown, self.start))

    @cached_property
    def fitting(self) -> tuple[str, int]:
        """The HTML of the newest rows that fit into a message, and their number; the newest one always does."""
        rows: list[str] = []
        size = 0
        for arrival in reversed(self.arrivals):
            row = arrival.html(self.reading)
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
        """What of it a page at this cursor does not have yet: itself, as nearly always, a part, or None.

        Its cursor is nowhere behind the page's, which has come further in streams whose past was read just now.
        """
        is_all_new = all(cursor.get(stream, EntryId.MIN) < entry_id for stream, entry_id in self._first.items())
        if is_all_new and all(entry_id <= self.cursor.get(stream, EntryId.MIN) for stream, entry_id in cursor.items()):
            return self
        arrivals = tuple(arrival for arrival in self.arrivals if is_beyond(arrival.position, cursor))
        unshown = tuple(position for position in self.unshown if is_beyond(position, cursor))
        return Frame(arrivals, unshown, later(self.cursor, cursor), self.reading) if arrivals or unshown else None


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that matched and were not sent, and the place after which they can be read."""

    count: int
    after: Position
    is_exact: bool = True  # False: there are at least so many

    def joined(self, other: Gap) -> Gap:
        """Both as one."""
        after = min(self.after, other.after, key=lambda position: position.entry_id)
        return Gap(self.count + other.count, after, self.is_exact and other.is_exact)


def before(position: Position) -> Position:
    """The place right before this one in its stream."""
    return Position(position.entry_id.previous(), position.stream)


def rows_message(html: str, count: int, cursor: Cursor, gap: Gap | None) -> str:
    """Rows for a page, oldest first, after `gap` that is skipped; the page has acknowledged it when it shows them."""
    told: dict[str, Any] = {"type": "rows", "html": html, "count": count, "cursor": written(cursor), "skipped": 0}
    if gap and (gap.count or not gap.is_exact):
        told |= {"skipped": gap.count, "skipped_exactly": gap.is_exact, "skipped_after": str(gap.after)}
    return json.dumps(told, ensure_ascii=False)


def written(cursor: Cursor) -> dict[str, str]:
    """A cursor as pages hold it."""
    return {stream: str(entry_id) for stream, entry_id in cursor.items()}
