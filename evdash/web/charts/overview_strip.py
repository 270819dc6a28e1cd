"""The overview strip: a whole session of any length, and the part that the timeline below shows. Pure geometry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from evdash.eventlog.records import OutlineSlot
from evdash.events.event import Event, datetime_from_us
from evdash.web.charts.axis import Scale
from evdash.web.formatting import format_count

HEIGHT: Final = 24
COLUMNS: Final = 240  # slots that would overlap are drawn as one column


@dataclass(frozen=True, slots=True)
class Column:
    """The events of one period."""

    x: float
    width: float
    y: float
    height: float
    errors: int
    address: str  # of the page with the period's first event
    title: str


@dataclass(frozen=True, slots=True)
class FoundMark:
    """An event that the page has found."""

    x: float
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The context of templates/pages/session/_strip.html."""

    height: int
    columns: tuple[Column, ...]
    window_x: float
    window_width: float  # 0: the timeline shows the whole session
    found: tuple[FoundMark, ...] = ()


def strip(
    outline: Sequence[OutlineSlot],
    drawn: Sequence[Event],
    address_at: Callable[[datetime], str],
    found: Iterable[tuple[Event, str]] = (),
) -> Strip | None:
    """Return the overview strip of a session; None if its outline has fewer than two slots.

    `drawn` are the events in the timeline. `address_at` returns the URL of the page at a time. `found` are the events
    to mark, each with the reason in words.
    """
    if len(outline) < 2:
        return None
    scale = Scale([(slot.start_us, slot.start_us + slot.width_us) for slot in outline])
    columns = _gathered(outline, scale)
    most = max(slot.events for slot in columns.values())
    last = len(outline) - 1
    total, inside = sum(slot.events for slot in outline), len(drawn)
    window_x = window_width = 0.0
    if drawn and inside < total:
        first_us, last_us = min(e.occurred_us for e in drawn), max(e.occurred_us for e in drawn)
        window_x = scale.x(max(first_us, outline[0].start_us))
        window_width = max(0.6, scale.x(min(last_us, outline[last].start_us + outline[last].width_us)) - window_x)
    return Strip(
        HEIGHT,
        tuple(_column(index, slot, most, address_at) for index, slot in sorted(columns.items())),
        round(window_x, 3),
        round(window_width, 3),
        tuple(
            FoundMark(round(scale.x(event.occurred_us), 3), f"{event.occurred_at:%H:%M:%S} UTC: {reason}")
            for event, reason in found
        ),
    )


def _gathered(outline: Sequence[OutlineSlot], scale: Scale) -> dict[int, OutlineSlot]:
    columns: dict[int, OutlineSlot] = {}
    for slot in outline:
        index = min(int(scale.x(slot.start_us) * COLUMNS / 100), COLUMNS - 1)
        column = columns.get(index)
        if column is None:
            columns[index] = slot
        else:
            columns[index] = OutlineSlot(
                column.start_us,
                slot.start_us + slot.width_us - column.start_us,
                column.events + slot.events,
                column.errors + slot.errors,
            )
    return columns


def _column(index: int, slot: OutlineSlot, most: int, address_at: Callable[[datetime], str]) -> Column:
    width = 100 / COLUMNS
    # The height is the square root of the share, so that one event is visible next to a thousand.
    height = round(max(3.0, HEIGHT * (slot.events / most) ** 0.5), 1)
    moment = datetime_from_us(slot.start_us)
    errors = f", {format_count(slot.errors, 'error')}" if slot.errors else ""
    return Column(
        x=round(index * width, 3),
        width=round(width * 0.84, 3),
        y=HEIGHT - height,
        height=height,
        errors=slot.errors,
        address=address_at(moment),
        title=f"{moment:%H:%M:%S} UTC: {format_count(slot.events, 'event')}{errors}",
    )
