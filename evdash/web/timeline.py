"""The picture of a session: five lanes over time, idle stretches collapsed. Pure geometry.

Across, per cent of the width. An event that has a latency is a bar that ends when the event was written; a call and
its return (web/calls.py) are joined by a bar between them, which runs out of the picture where the return is not in it;
any other event is a tick. A stretch in which nothing happened that is much longer than the usual pause is drawn as a
short zigzag that says how long it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from evdash.eventlog.records import Position
from evdash.events.event import Event, datetime_from_us
from evdash.events.one_line import one_line
from evdash.events.session.pairing import took_ms
from evdash.web.addresses import element_id
from evdash.web.calls import Calls
from evdash.web.charts import Tick, round_step
from evdash.web.kinds import LANES, Kind, kind_of, lane_of
from evdash.web.readings import reading
from evdash.web.visible import signs
from evdash.web.wording import milliseconds, span

LANE_HEIGHT: Final = 26
BAR_HEIGHT: Final = 12
_MARGIN: Final = 1.0  # per cent kept free at both ends, so that the first and last marks are whole
_IDLE_AT_LEAST_US: Final = 30_000_000
_IDLE_TIMES_USUAL: Final = 6
_ZIGZAG: Final = 2.4
_ZIGZAGS_AT_MOST: Final = 30.0
_LABELS: Final = 8
_LABEL_ROOM: Final = 7.0  # per cent


@dataclass(frozen=True, slots=True)
class Mark:
    """One event in the picture."""

    element_id: str
    address: str
    kind: Kind
    lane: str
    is_error: bool
    x: float  # where the event was written
    bar_x: float  # where its duration begins
    bar_width: float  # 0: a tick
    y: float
    title: str


@dataclass(frozen=True, slots=True)
class Span:
    """A call and its return, joined; or a call that has no return, up to the end of the picture."""

    x: float
    width: float
    y: float
    is_error: bool
    title: str
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Idle:
    """A collapsed stretch in which nothing happened."""

    x: float
    width: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane: its name and where it lies."""

    name: str
    y: float
    middle: float
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """What templates/charts/_timeline.html draws."""

    height: int
    lanes: tuple[Lane, ...]
    marks: tuple[Mark, ...]
    spans: tuple[Span, ...]
    idle: tuple[Idle, ...]
    ticks: tuple[Tick, ...]
    summary: str


class Scale:
    """From times to places: idle stretches shrink to a zigzag, what is left shares the rest evenly by time."""

    def __init__(self, busy: Sequence[tuple[int, int]]) -> None:
        self.start_us, self.end_us = busy[0][0], max(end for _, end in busy)
        self.gaps = _idle_gaps(busy)
        room = 100 - 2 * _MARGIN
        self.zigzag = min(_ZIGZAG, _ZIGZAGS_AT_MOST / len(self.gaps)) if self.gaps else 0.0
        active_us = self.end_us - self.start_us - sum(end - start for start, end in self.gaps)
        self.per_us = (room - self.zigzag * len(self.gaps)) / active_us if active_us else 0.0

    def x(self, moment_us: int) -> float:
        """The place of a time, in per cent."""
        x, at_us = _MARGIN, self.start_us
        for start, end in self.gaps:
            if moment_us <= start:
                break
            x += (start - at_us) * self.per_us
            if moment_us < end:
                return round(x + self.zigzag * (moment_us - start) / (end - start), 3)
            x, at_us = x + self.zigzag, end
        return round(x + (moment_us - at_us) * self.per_us, 3) if self.per_us else round(max(x, 50.0), 3)


def timeline(events: Sequence[Event], calls: Calls, pages: Sequence[str] = ()) -> Timeline | None:
    """The picture of these events and the calls among them; None when there are none. `pages`: for each event the
    address of the page that has its row, "" for the page with the picture."""
    if not events:
        return None
    lanes = [lane_of(event) for event in events]
    height = LANE_HEIGHT * len(LANES)
    middle = {name: LANE_HEIGHT * index + LANE_HEIGHT / 2 for index, name in enumerate(LANES)}
    scale = Scale(sorted(_busy(event) for event in events))
    marks = tuple(
        _mark(event, page, lane, middle[lane], scale, calls.note(event))
        for event, page, lane in zip(events, pages or [""] * len(events), lanes, strict=True)
    )
    used = set(lanes)
    errors = sum(event.is_error for event in events)
    return Timeline(
        height=height,
        lanes=tuple(
            Lane(name, LANE_HEIGHT * index, middle[name], name not in used) for index, name in enumerate(LANES)
        ),
        marks=marks,
        spans=_spans(events, calls, middle["tools"], scale),
        idle=tuple(_idle(start, end, scale) for start, end in scale.gaps),
        ticks=_ticks(scale),
        summary=f"{len(events):,} events from {_second(datetime_from_us(scale.start_us))} to "
        f"{_second(datetime_from_us(scale.end_us))}, {errors:,} of them errors",
    )


def _busy(event: Event) -> tuple[int, int]:
    """When the event's work began and ended."""
    started_us = event.occurred_us - round((event.latency_ms or 0) * 1000)
    return max(started_us, 0), event.occurred_us


def _idle_gaps(busy: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The stretches without work that are much longer than the usual pause; `busy` is sorted."""
    gaps: list[tuple[int, int]] = []
    end_us = busy[0][1]
    for start, end in busy[1:]:
        if start > end_us:
            gaps.append((end_us, start))
        end_us = max(end_us, end)
    if not gaps:
        return []
    lengths = sorted(end - start for start, end in gaps)
    usual_us = lengths[(len(lengths) - 1) * 3 // 4] if len(lengths) > 3 else lengths[0]
    least_us = max(_IDLE_AT_LEAST_US, _IDLE_TIMES_USUAL * usual_us)
    # A little of the pause stays at both ends, so that what stands beside it does not touch the zigzag.
    edge_us = round(min(usual_us, least_us / 10) / 2)
    return [(start + edge_us, end - edge_us) for start, end in gaps if end - start > least_us]


def _mark(event: Event, page: str, lane: str, middle: float, scale: Scale, note: str) -> Mark:
    start_us, end_us = _busy(event)
    row = element_id(event.stream, event.entry_id)
    x, bar_x = scale.x(end_us), scale.x(start_us)
    head = f"{_clock(event.occurred_at)} {event.type or '(no type)'}"
    return Mark(
        element_id=row,
        address=f"{page}#{row}",
        kind=kind_of(event.type),
        lane=lane,
        is_error=event.is_error,
        x=x,
        bar_x=bar_x,
        bar_width=round(x - bar_x, 3),
        y=middle - BAR_HEIGHT / 2,
        title=signs("\n".join(filter(None, (head, one_line(str(reading(event)), 160), note)))),
    )


def _spans(events: Sequence[Event], calls: Calls, middle: float, scale: Scale) -> tuple[Span, ...]:
    drawn = {Position.of(event) for event in events}
    joined = (_span(call, end, middle, scale, is_drawn=Position.of(end) in drawn) for call, end in calls.ended)
    return (*joined, *(_open_span(call, calls.note(call), middle, scale) for call in calls.open))


def _span(call: Event, end: Event, middle: float, scale: Scale, *, is_drawn: bool) -> Span:
    start, stop = scale.x(call.occurred_us), scale.x(end.occurred_us) if is_drawn else 100.0
    took = milliseconds(took_ms(call.occurred_us, call.entry_id.ms, end))
    title = (
        f"{call.tool or call.type}, {took} from call to return{'' if is_drawn else ', which lies after this picture'}"
    )
    return Span(start, round(max(0.0, stop - start), 3), middle, end.is_error, signs(one_line(title, 200)))


def _open_span(call: Event, note: str, middle: float, scale: Scale) -> Span:
    start = scale.x(call.occurred_us)
    title = signs(one_line(f"{call.tool or call.type}: {note}", 200))
    return Span(start, round(max(0.5, scale.x(scale.end_us) - start), 3), middle, False, title, is_open=True)


def _idle(start_us: int, end_us: int, scale: Scale) -> Idle:
    x = scale.x(start_us)
    anchor = "start" if x < 4 else "end" if x > 92 else "middle"
    return Idle(x, scale.zigzag, span(timedelta(microseconds=end_us - start_us)), anchor)


def _ticks(scale: Scale) -> tuple[Tick, ...]:
    """Elapsed time since the start, at round places; none within a collapsed stretch, and none on another."""
    active_us = scale.end_us - scale.start_us - sum(end - start for start, end in scale.gaps)
    if active_us <= 0:
        return ()
    step_us = round_step(timedelta(microseconds=active_us), _LABELS) // timedelta(microseconds=1)
    ticks = [Tick(scale.x(scale.start_us), "0", datetime_from_us(scale.start_us), "start", False)]
    for start, end in zip(
        [scale.start_us, *(end for _, end in scale.gaps)],
        [*(start for start, _ in scale.gaps), scale.end_us],
        strict=True,
    ):
        # The first round time after a collapsed stretch, then every step.
        elapsed_us = -(-(start - scale.start_us) // step_us) * step_us
        while (moment_us := scale.start_us + elapsed_us) <= end:
            x = scale.x(moment_us)
            beside_idle = any(abs(x - scale.x(gap[0])) < _LABEL_ROOM for gap in scale.gaps)
            if x - ticks[-1].x >= _LABEL_ROOM and not beside_idle:
                label = span(timedelta(microseconds=elapsed_us))
                ticks.append(
                    Tick(x, label, datetime_from_us(moment_us), "end" if x > 96 else "middle", len(ticks) % 2 == 1)
                )
            elapsed_us += step_us
    return tuple(ticks)


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def _second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
