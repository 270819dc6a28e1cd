"""The marks of a timeline: where each stands, how far it is pointed at, and what it says. Pure geometry.

One that is hard to hit between its neighbours is reached up to half the way to them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from evdash.events.event import Event
from evdash.events.one_line import one_line
from evdash.web.addresses import element_id
from evdash.web.calls import Calls
from evdash.web.kinds import Kind, kind_of
from evdash.web.readings import reading
from evdash.web.scale import Scale
from evdash.web.visible import signs
from evdash.web.wording import count

BAR_HEIGHT: Final = 12
_REACH: Final = 1.3  # per cent to either side at most
_LABEL_ROOM: Final = 1.2  # per cent to the next mark of the lane
_TOLD_TOGETHER: Final = 12  # events of one mark


class Placed(NamedTuple):
    """An event that is drawn."""

    event: Event
    page: str  # the address of the page that has its row, "" for the page with the picture
    lane: str
    x: float


@dataclass(frozen=True, slots=True)
class Mark:
    """One event in the picture, or those of a lane that there is no room to draw beside each other."""

    element_ids: str  # of the rows of its events, with spaces between
    events: int
    label: str  # how many, where they are several and there is room to say so
    address: str
    kind: Kind
    is_error: bool
    x: float  # where the event was written (web/places.py)
    bar_x: float  # where its duration begins
    bar_width: float  # 0: a tick
    is_under: bool  # another mark stands on the bar
    touch_x: float
    touch_width: float
    y: float
    title: str


def marks(placed: Sequence[Placed], middle: Mapping[str, float], scale: Scale, calls: Calls) -> tuple[Mark, ...]:
    """The marks of these events, in their order; `middle`: where each lane lies."""
    gathered: dict[tuple[str, float], list[Placed]] = {}
    for each in placed:
        gathered.setdefault((each.lane, each.x), []).append(each)
    lanes = {lane: sorted(x for its, x in gathered if its == lane) for lane in middle}
    return tuple(
        _mark(together, middle[lane] - BAR_HEIGHT / 2, lanes[lane], scale, calls)
        for (lane, _), together in gathered.items()
    )


def busy(event: Event) -> tuple[int, int]:
    """When the event's work began and ended, Unix microseconds."""
    started_us = event.occurred_us - round((event.latency_ms or 0) * 1000)
    return max(started_us, 0), event.occurred_us


def _mark(together: Sequence[Placed], y: float, lane: Sequence[float], scale: Scale, calls: Calls) -> Mark:
    first, x = together[0], together[0].x
    events = [each.event for each in together]
    rows = [element_id(event.stream, event.entry_id) for event in events]
    bar_x = min(x, *(scale.x(busy(event)[0]) for event in events))
    at = bisect_left(lane, x)
    left = min(_REACH, (x - lane[at - 1]) / 2) if at else _REACH
    right = min(_REACH, (lane[at + 1] - x) / 2) if at + 1 < len(lane) else _REACH
    return Mark(
        element_ids=" ".join(rows),
        events=len(events),
        label=f"{len(events):,}" if len(events) > 1 and right >= _LABEL_ROOM / 2 else "",
        address=f"{first.page}#{rows[0]}",
        kind=kind_of(next((event for event in events if event.is_error), events[0]).type),
        is_error=any(event.is_error for event in events),
        x=x,
        bar_x=bar_x,
        bar_width=round(x - bar_x, 3),
        is_under=bisect_right(lane, bar_x) < at,
        touch_x=round(x - left, 4),
        touch_width=round(left + right, 4),
        y=y,
        title=signs(_told(events[0], calls) if len(events) == 1 else _told_together(events, calls)),
    )


def _told(event: Event, calls: Calls) -> str:
    head = f"{_clock(event.occurred_at)} {event.type or '(no type)'}"
    return "\n".join(filter(None, (head, one_line(str(reading(event)), 160), calls.note(event))))


def _told_together(events: Sequence[Event], calls: Calls) -> str:
    lines = [_clock(event.occurred_at) for event in events]
    until = "" if lines[0] == lines[-1] else f" to {lines[-1]}"
    told = [f"{count(len(events), 'event')}, {lines[0]}{until}"]
    for event in events[:_TOLD_TOGETHER]:
        note = calls.note(event)
        told.append(one_line(f"{event.type or '(no type)'}: {reading(event)}", 100) + (f" ({note})" if note else ""))
    if len(events) > _TOLD_TOGETHER:
        told.append(f"and {len(events) - _TOLD_TOGETHER:,} more")
    return "\n".join(told)


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
