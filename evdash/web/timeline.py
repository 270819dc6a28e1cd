"""The picture of a session: five lanes over time, idle stretches collapsed. Pure geometry.

Across, per cent of the width. An event that has a latency is a bar that ends when the event was written; a call and
its return (web/calls.py) are joined by a bar between them, which runs out of the picture where the return is not in it;
any other event is a tick. Events at one place stand beside each other, or are one mark (web/places.py). A stretch in
which nothing happened that is much longer than the usual pause is drawn as a short zigzag that says how long it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from evdash.eventlog.records import Position
from evdash.events.event import Event, datetime_from_us
from evdash.events.one_line import one_line
from evdash.events.session.pairing import took_ms
from evdash.web.calls import Calls
from evdash.web.charts import Tick, round_step
from evdash.web.kinds import LANES, lane_of
from evdash.web.marks import Mark, Placed, busy, marks
from evdash.web.places import places
from evdash.web.scale import Scale
from evdash.web.visible import signs
from evdash.web.wording import milliseconds, span

LANE_HEIGHT: Final = 26
_LABELS: Final = 8
_LABEL_ROOM: Final = 7.0  # per cent


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


def timeline(events: Sequence[Event], calls: Calls, pages: Sequence[str] = ()) -> Timeline | None:
    """The picture of these events and the calls among them; None when there are none. `pages`: for each event the
    address of the page that has its row, "" for the page with the picture."""
    if not events:
        return None
    lanes = [lane_of(event) for event in events]
    height = LANE_HEIGHT * len(LANES)
    middle = {name: LANE_HEIGHT * index + LANE_HEIGHT / 2 for index, name in enumerate(LANES)}
    scale = Scale(sorted(busy(event) for event in events))
    xs = places(events, lanes, scale)
    placed = [Placed(*each) for each in zip(events, pages or [""] * len(events), lanes, xs, strict=True)]
    used = set(lanes)
    errors = sum(event.is_error for event in events)
    return Timeline(
        height=height,
        lanes=tuple(
            Lane(name, LANE_HEIGHT * index, middle[name], name not in used) for index, name in enumerate(LANES)
        ),
        marks=marks(placed, middle, scale, calls),
        spans=_spans(dict(zip(map(Position.of, events), xs, strict=True)), calls, middle["tools"]),
        idle=tuple(_idle(start, end, scale) for start, end in scale.gaps),
        ticks=_ticks(scale),
        summary=f"{len(events):,} events from {_second(datetime_from_us(scale.start_us))} to "
        f"{_second(datetime_from_us(scale.end_us))}, {errors:,} of them errors",
    )


def _spans(xs: Mapping[Position, float], calls: Calls, middle: float) -> tuple[Span, ...]:
    joined = (_span(call, end, middle, xs) for call, end in calls.ended)
    return (*joined, *(_open_span(call, calls.note(call), middle, xs) for call in calls.open))


def _span(call: Event, end: Event, middle: float, xs: Mapping[Position, float]) -> Span:
    start, stop = xs[Position.of(call)], xs.get(Position.of(end))
    took = milliseconds(took_ms(call.occurred_us, call.entry_id.ms, end))
    beyond = ", which lies after this picture" if stop is None else ""
    title = signs(one_line(f"{call.tool or call.type}, {took} from call to return{beyond}", 200))
    width = round(max(0.0, (100.0 if stop is None else stop) - start), 3)
    return Span(start, width, middle, end.is_error, title)


def _open_span(call: Event, note: str, middle: float, xs: Mapping[Position, float]) -> Span:
    start = xs[Position.of(call)]
    title = signs(one_line(f"{call.tool or call.type}: {note}", 200))
    width = round(min(100 - start, max(0.5, max(xs.values()) - start)), 3)
    return Span(start, width, middle, False, title, is_open=True)


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


def _second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
