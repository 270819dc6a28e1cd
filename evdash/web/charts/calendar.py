"""The calendar of a user's activity: one column per week, one square per day. Pure geometry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol

from evdash.web.formatting import format_count

WEEKS: Final = 53
CELL: Final = 12
GAP: Final = 2
NAMES: Final = 28  # the width of the weekday names
_LEVELS: Final = 4


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
class MonthLabel:
    """The name of a month above its first full week."""

    x: int
    text: str


@dataclass(frozen=True, slots=True)
class WeekdayLabel:
    """The weekday name of a row."""

    y: int
    text: str


_WEEKDAYS = ((0, "Mon"), (2, "Wed"), (4, "Fri"))


@dataclass(frozen=True, slots=True)
class Calendar:
    """The context of templates/charts/_calendar.html."""

    width: int
    height: int
    cell: int
    squares: tuple[Square, ...]
    months: tuple[MonthLabel, ...]
    weekdays: tuple[WeekdayLabel, ...]
    since: date
    until: date
    days: int
    summary: str


def calendar_range(last: date, weeks: int = WEEKS) -> tuple[date, date]:
    """Return the first day, a Monday, and the last day of a calendar of `weeks` weeks that ends with `last`."""
    monday = last - timedelta(days=last.weekday())
    return monday - timedelta(weeks=weeks - 1), last


def calendar(days: Mapping[date, DayLike], since: date, until: date, address: Callable[[date], str]) -> Calendar:
    """Return the calendar from the Monday `since` to `until`, both included.

    The squares are to the right of the weekday names.
    """
    most = max((day.events for day in days.values()), default=0)
    squares: list[Square] = []
    months: list[MonthLabel] = []
    active = 0
    for offset in range((until - since).days + 1):
        day = since + timedelta(days=offset)
        week, weekday = divmod(offset, 7)
        x, y = NAMES + week * (CELL + GAP), weekday * (CELL + GAP)
        counted = days.get(day)
        events, errors = (counted.events, counted.errors) if counted else (0, 0)
        active += events > 0
        level = min(_LEVELS, 1 + (events * _LEVELS - 1) // most) if events else 0
        title = f"{day:%a %d %b %Y}: {format_count(events, 'event')}" + (
            f", {format_count(errors, 'error')}" if errors else ""
        )
        squares.append(Square(x, y, level, errors > 0, title, address(day) if events else ""))
        if weekday == 0 and day.day <= 7:
            months.append(MonthLabel(x, f"{day:%b}" if day.month > 1 else f"{day:%b %Y}"))
    weeks = (until - since).days // 7 + 1
    return Calendar(
        width=NAMES + weeks * (CELL + GAP) - GAP,
        height=7 * (CELL + GAP) - GAP,
        cell=CELL,
        squares=tuple(squares),
        months=tuple(months),
        weekdays=tuple(WeekdayLabel(row * (CELL + GAP) + CELL - 2, name) for row, name in _WEEKDAYS),
        since=since,
        until=until,
        days=active,
        summary=f"{format_count(active, 'day')} with events from {since:%d %b %Y} to {until:%d %b %Y}",
    )
