"""The calendar of a user's activity, over the days from the first to the last one with events. Pure geometry.

A range below STRIP_DAYS is one strip per week, with a column per weekday. A longer one has a column per week. It leaves
out long runs of weeks without events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol

from evdash.web.formatting import format_count

STRIP_DAYS: Final = 30
WEEKS_MAX: Final = 106  # the newest ones: two years
CELL: Final = 12
STRIP_CELL: Final = 34  # the width of a day in a strip
GAP: Final = 2
NAMES: Final = 28  # the width of the weekday names
DATES: Final = 52  # the width of the dates of weeks
_FOLDED: Final = 13  # weeks without events in a row that become one mark
_LEVELS: Final = 4
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WEEK: Final = timedelta(weeks=1)


class DayLike(Protocol):
    """A user's counts of one day."""

    @property
    def events(self) -> int: ...
    @property
    def errors(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Square:
    """One day."""

    x: int
    y: int
    level: int  # 0: no events; 1 to 4: increasing numbers of events
    has_errors: bool
    title: str
    address: str  # "" for a day without events


@dataclass(frozen=True, slots=True)
class Label:
    """A month, a weekday, the date of a week, or the mark of weeks that are left out."""

    x: int
    y: int
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The context of templates/charts/_calendar.html."""

    width: int
    height: int
    cell_width: int
    cell_height: int
    squares: tuple[Square, ...]
    labels: tuple[Label, ...]
    summary: str


def calendar(days: Mapping[date, DayLike], address: Callable[[date], str]) -> Calendar | None:
    """Return the calendar of these days, or None if none of them has events. It has no day after the last one."""
    active = sorted(day for day, counted in days.items() if counted.events)
    if not active:
        return None
    first, last = active[0], active[-1]
    most = max(days[day].events for day in active)

    def square(day: date, x: int, y: int) -> Square:
        counted = days.get(day)
        events, errors = (counted.events, counted.errors) if counted else (0, 0)
        level = min(_LEVELS, 1 + (events * _LEVELS - 1) // most) if events else 0
        title = f"{day:%a %d %b %Y}: {format_count(events, 'event')}" + (
            f", {format_count(errors, 'error')}" if errors else ""
        )
        return Square(x, y, level, errors > 0, title, address(day) if events else "")

    is_strip = (last - first).days < STRIP_DAYS
    squares, labels, shown_from = _strips(first, last, square) if is_strip else _columns(active, square)
    cell_width = STRIP_CELL if is_strip else CELL
    between = f"from {first:%d %b %Y} to {last:%d %b %Y}" if first < last else f"on {first:%d %b %Y}"
    earlier = sum(day < shown_from for day in active)
    return Calendar(
        width=max(each.x for each in squares) + cell_width,
        height=max(each.y for each in squares) + CELL,
        cell_width=cell_width,
        cell_height=CELL,
        squares=tuple(squares),
        labels=tuple(labels),
        summary=f"{format_count(len(active), 'day')} with events {between}"
        + (f", {format_count(earlier, 'earlier one', 'earlier ones')} not drawn" if earlier else ""),
    )


def _strips(
    first: date, last: date, square: Callable[[date, int, int], Square]
) -> tuple[list[Square], list[Label], date]:
    labels = [Label(DATES + n * (STRIP_CELL + GAP), -5, name) for n, name in enumerate(_WEEKDAYS)]
    squares = []
    monday = _monday(first)
    for offset in range((last - monday).days + 1):
        day = monday + timedelta(days=offset)
        week, weekday = divmod(offset, 7)
        y = week * (CELL + GAP)
        if weekday == 0:
            labels.append(Label(0, y + CELL - 2, f"{day:%d %b}"))
        squares.append(square(day, DATES + weekday * (STRIP_CELL + GAP), y))
    return squares, labels, first


def _columns(active: list[date], square: Callable[[date, int, int], Square]) -> tuple[list[Square], list[Label], date]:
    labels = [Label(0, row * (CELL + GAP) + CELL - 2, _WEEKDAYS[row]) for row in (0, 2, 4)]
    mondays = sorted({_monday(day) for day in active})[-WEEKS_MAX:]
    squares: list[Square] = []
    x = NAMES
    drawn = 0
    for monday, following in zip(mondays, [*mondays[1:], None], strict=True):
        empty = (following - monday).days // 7 - 1 if following else 0
        is_folded = empty >= _FOLDED
        for week in range(1 if is_folded else 1 + empty):
            start = monday + week * _WEEK
            if start.day <= 7 or not drawn:
                named = f"{start:%b}" if start.month > 1 and drawn else f"{start:%b %Y}"
                labels.append(Label(x, -5, named))
            drawn += 1
            for weekday in range(min(7, (active[-1] - start).days + 1)):
                squares.append(square(start + timedelta(days=weekday), x, weekday * (CELL + GAP)))
            x += CELL + GAP
        if is_folded:
            labels.append(Label(x, 3 * (CELL + GAP) + CELL - 2, "⋯", f"{empty:,} weeks without events"))
            x += CELL + GAP
    return squares, _apart(labels), mondays[0]


def _apart(labels: list[Label]) -> list[Label]:
    """Return the labels without months that would cover the one before them."""
    kept: list[Label] = []
    free_from = 0
    for label in labels:
        if label.y >= 0 or label.x >= free_from:
            kept.append(label)
            free_from = label.x + 6 * len(label.text) + 2 * GAP if label.y < 0 else free_from
    return kept


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
