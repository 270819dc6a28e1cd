"""The timeline of a session: lanes over time, one for each tool, with idle periods collapsed. Pure geometry.

Horizontal coordinates are per cent of the width. An event with a latency is a bar that ends when the event occurred.
A bar joins a call and its return (event_display/calls.py). It extends to the edge if the timeline does not have the
return. Any other event is a tick. Events at one position are drawn side by side (`places`), or as one mark if the space
is too small. An idle period much longer than the usual pause is drawn as a short zigzag with its duration.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple

from evdash.eventlog.records import Position
from evdash.events.entry import MAX_DATETIME_MS
from evdash.events.event import Event, datetime_from_us
from evdash.events.event_types import SEARCH, EventCategory, category_of, describe_event, lane_of
from evdash.events.session.call_matching import took_ms
from evdash.events.text import one_line
from evdash.web.charts.axis import Scale
from evdash.web.charts.histogram import Tick, round_step
from evdash.web.control_characters import escape_control_chars_text
from evdash.web.event_display.calls import Calls
from evdash.web.formatting import format_count, format_duration, format_milliseconds
from evdash.web.links import element_id

LANE_HEIGHT: Final = 16
BAR_HEIGHT: Final = 10
TOOL_LANES_MAX: Final = 8  # the lane of the other tools included
_LANE_NAME_CHARS: Final = 20
_REACH: Final = 1.3  # the largest hit area of a mark, per cent to either side
_COUNT_ROOM: Final = 1.2  # the least distance to the next mark of the lane for a count, per cent
NOTHING_FOUND: Final[Mapping[Position, str]] = MappingProxyType({})
_TOOLTIP_EVENTS_MAX: Final = 12  # the largest number of events in a mark's tooltip


class LaneKey(NamedTuple):
    """A lane: that of an actor, or of one tool. A tool without a name has the name ""."""

    actor: str
    tool: str = ""


_OTHER_TOOLS: Final = LaneKey("other tools")
_SUB_AGENTS: Final = LaneKey("sub-agents")
# From top to bottom. A tool's lane is below those of the tools that appeared before it.
_ACTORS: Final = ("user", "assistant", "tools", _OTHER_TOOLS.actor, "memory", _SUB_AGENTS.actor, "system")


class Placed(NamedTuple):
    """An event with its lane and its position in the timeline."""

    event: Event
    page: str  # the address of the page that has its row, "" for the page with the timeline
    lane: LaneKey
    x: float


@dataclass(frozen=True, slots=True)
class Mark:
    """One event in the timeline, or several of one lane without the space for separate marks."""

    element_ids: str  # of the rows of its events, separated by spaces
    events: int
    label: str  # the number of events if there are several and the space is sufficient, else ""
    address: str
    category: EventCategory
    is_error: bool
    x: float  # the position of the event's time, as `places` returns it
    bar_x: float  # the start of its duration
    bar_width: float  # 0: a tick
    is_under: bool  # True: another mark is drawn over the bar
    touch_x: float
    touch_width: float
    y: float
    title: str
    is_found: bool = False  # an event is among those that the page has found


def marks(
    placed: Sequence[Placed],
    middle: Mapping[LaneKey, float],
    scale: Scale,
    calls: Calls,
    found: Mapping[Position, str] = NOTHING_FOUND,
) -> tuple[Mark, ...]:
    """Return the marks of these events, in their order. `middle` is the vertical centre of each lane.

    `found` has the events that the page has found, each with the reason in words.
    """
    gathered: dict[tuple[LaneKey, float], list[Placed]] = {}
    for each in placed:
        gathered.setdefault((each.lane, each.x), []).append(each)
    lanes = {lane: sorted(x for its, x in gathered if its == lane) for lane in middle}
    joined = {Position.of(end) for _, end in calls.ended}
    return tuple(
        _mark(together, middle[lane] - BAR_HEIGHT / 2, lanes[lane], scale, calls, joined, found)
        for (lane, _), together in gathered.items()
    )


def active_interval(event: Event) -> tuple[int, int]:
    """Return the start and end of the event's work, in Unix microseconds."""
    started_us = event.occurred_us - round((event.latency_ms or 0) * 1000)
    return max(started_us, 0), event.occurred_us


def _mark(
    together: Sequence[Placed],
    y: float,
    lane: Sequence[float],
    scale: Scale,
    calls: Calls,
    joined: Set[Position],
    found: Mapping[Position, str],
) -> Mark:
    first, x = together[0], together[0].x
    events = [each.event for each in together]
    rows = [element_id(event.stream, event.entry_id) for event in events]
    # A return has the bar from its call instead of one for its latency.
    own_bars = [scale.x(active_interval(event)[0]) for event in events if Position.of(event) not in joined]
    bar_x = min([x, *own_bars])
    at = bisect_left(lane, x)
    left_reach = min(_REACH, (x - lane[at - 1]) / 2) if at else _REACH
    right_reach = min(_REACH, (lane[at + 1] - x) / 2) if at + 1 < len(lane) else _REACH
    return Mark(
        element_ids=" ".join(rows),
        events=len(events),
        label=f"{len(events):,}" if len(events) > 1 and right_reach >= _COUNT_ROOM / 2 else "",
        address=f"{first.page}#{rows[0]}",
        category=category_of(next((event for event in events if event.is_error), events[0]).type),
        is_error=any(event.is_error for event in events),
        x=x,
        bar_x=bar_x,
        bar_width=round(x - bar_x, 3),
        is_under=bisect_right(lane, bar_x) < at,
        touch_x=round(x - left_reach, 4),
        touch_width=round(left_reach + right_reach, 4),
        y=y,
        title=escape_control_chars_text(
            _tooltip(events[0], calls, found) if len(events) == 1 else _group_tooltip(events, calls, found)
        ),
        is_found=any(Position.of(event) in found for event in events),
    )


def _tooltip(event: Event, calls: Calls, found: Mapping[Position, str]) -> str:
    head = f"{_clock(event.occurred_at)} {event.type or '(no type)'}"
    notes = (calls.note(event), found.get(Position.of(event), ""))
    return "\n".join(filter(None, (head, one_line(str(describe_event(event)), 160), *notes)))


def _group_tooltip(events: Sequence[Event], calls: Calls, found: Mapping[Position, str]) -> str:
    lines = [_clock(event.occurred_at) for event in events]
    until = "" if lines[0] == lines[-1] else f" to {lines[-1]}"
    tooltip = [f"{format_count(len(events), 'event')}, {lines[0]}{until}"]
    for event in events[:_TOOLTIP_EVENTS_MAX]:
        note = ", ".join(filter(None, (calls.note(event), found.get(Position.of(event), ""))))
        tooltip.append(
            one_line(f"{event.type or '(no type)'}: {describe_event(event)}", 100) + (f" ({note})" if note else "")
        )
    if len(events) > _TOOLTIP_EVENTS_MAX:
        tooltip.append(f"and {len(events) - _TOOLTIP_EVENTS_MAX:,} more")
    return "\n".join(tooltip)


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


# Per cent of the width, which is some 1,100 pixels on a wide screen.
APART_AT_LEAST: Final = 0.2  # most of a mark, which is three pixels wide, is visible
APART_EASILY: Final = 0.7  # a mark is completely visible and easy to point at
SAME_PLACE: Final = 0.005  # three pixels at the highest zoom


def places(events: Sequence[Event], lanes: Sequence[Hashable], scale: Scale) -> list[float]:
    """Return the horizontal position of each event, in per cent.

    The positions keep the order of the events' times; events with equal times keep their order in `events`. Events at
    one position spread to the right, but never past the next event with another position.
    """
    xs = [0.0] * len(events)
    clusters = list(_clusters(events, scale))
    for cluster, following in zip(clusters, [*clusters[1:], []], strict=True):
        start = scale.x(events[cluster[0]].occurred_us)
        end = scale.x(events[following[0]].occurred_us) if following else 100.0
        room = min(end, scale.idle_after(events[cluster[-1]].occurred_us)) - start
        steps = _steps([lanes[index] for index in cluster])
        apart = min(APART_EASILY, room / (steps[-1] + 1))
        for index, step in zip(cluster, steps, strict=True):
            xs[index] = round(start + step * apart, 3) if apart >= APART_AT_LEAST else start
    return xs


def _clusters(events: Sequence[Event], scale: Scale) -> Iterator[list[int]]:
    """Yield lists of event indices in the order of time. A list has the events at one position."""
    cluster: list[int] = []
    for index in sorted(range(len(events)), key=lambda index: events[index].occurred_us):
        x = scale.x(events[index].occurred_us)
        if cluster and x - scale.x(events[cluster[0]].occurred_us) >= SAME_PLACE:
            yield cluster
            cluster = []
        cluster.append(index)
    if cluster:
        yield cluster


def _steps(lanes: Sequence[Hashable]) -> list[int]:
    """Return the offset of each event in steps.

    The offset exceeds that of the previous event in the lane. It never decreases.
    """
    steps: list[int] = []
    last: dict[Hashable, int] = {}
    step = 0
    for lane in lanes:
        step = max(step, last.get(lane, -1) + 1)
        last[lane] = step
        steps.append(step)
    return steps


_LABELS: Final = 8
_LABEL_ROOM: Final = 7.0  # per cent


@dataclass(frozen=True, slots=True)
class Span:
    """A bar from a call to its return, or from a call without a return to the last event."""

    x: float
    width: float
    y: float
    is_error: bool
    title: str
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Idle:
    """A collapsed idle period."""

    x: float
    width: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane: its name, as a label and whole, and its centre."""

    label: str
    name: str
    middle: float
    is_tool: bool


@dataclass(frozen=True, slots=True)
class Now:
    """The present in a running session."""

    x: float
    title: str
    has_label: bool  # False: the label of an idle period is in its place


@dataclass(frozen=True, slots=True)
class Timeline:
    """The context of templates/charts/_timeline.html."""

    height: int
    lanes: tuple[Lane, ...]
    other_tools: tuple[str, ...]  # those without a lane of their own
    marks: tuple[Mark, ...]
    spans: tuple[Span, ...]
    idle: tuple[Idle, ...]
    ticks: tuple[Tick, ...]
    now: Now | None
    start: datetime
    end: datetime
    scale: str  # corners of the map from positions to Unix milliseconds, "x:ms" separated by spaces
    summary: str


def timeline(
    events: Sequence[Event],
    calls: Calls,
    pages: Sequence[str] = (),
    *,
    agent: str = "",
    now: datetime | None = None,
    found: Mapping[Position, str] = NOTHING_FOUND,
) -> Timeline | None:
    """Return the timeline of these events and the calls among them; None without events.

    `pages` has for each event the address of the page with its row, "" for the page with the timeline. `agent` is that
    of the session: the events of another agent are those of a sub-agent. `now` is given if the session is running.
    `found` has the events to mark, each with the reason in words.
    """
    if not events:
        return None
    own_lanes, other_tools = _lanes(events, calls, agent)
    lanes = [own_lanes.of(event) for event in events]
    middle = {key: LANE_HEIGHT * index + LANE_HEIGHT / 2 for index, key in enumerate(own_lanes.order)}
    now_us = round(now.timestamp() * 1_000_000) if now else 0
    busy = sorted(active_interval(event) for event in events)
    scale = Scale([*busy, (now_us, now_us)] if now_us > max(end for _, end in busy) else busy)
    xs = places(events, lanes, scale)
    placed = [Placed(*each) for each in zip(events, pages or [""] * len(events), lanes, xs, strict=True)]
    errors = sum(event.is_error for event in events)
    marked = sum(Position.of(event) in found for event in events)
    drawn_now = _now(now, scale) if now and now_us == scale.end_us else None
    return Timeline(
        height=LANE_HEIGHT * len(middle),
        lanes=tuple(_lane(key, y, other_tools) for key, y in middle.items()),
        other_tools=other_tools,
        marks=marks(placed, middle, scale, calls, found),
        spans=_spans(dict(zip(map(Position.of, events), xs, strict=True)), calls, own_lanes, middle, scale),
        idle=tuple(_idle(start, end, scale) for start, end in scale.gaps),
        ticks=_ticks(scale, has_now=drawn_now is not None),
        now=drawn_now,
        start=datetime_from_us(scale.start_us),
        end=_end(scale),
        scale=" ".join(f"{x}:{moment_us // 1000}" for x, moment_us in scale.corners),
        summary=f"{format_count(len(events), 'event')} from {_second(datetime_from_us(scale.start_us))} to "
        f"{_second(_end(scale))}, {format_count(errors, 'error')}{f', {marked:,} marked' if marked else ''}",
    )


@dataclass(frozen=True, slots=True)
class _Lanes:
    """The lanes of a timeline: `order` from top to bottom, and the lane of each event and call."""

    order: tuple[LaneKey, ...]
    agent: str
    tools: Mapping[Position, str]  # the tools of returns, by their calls

    def of(self, event: Event) -> LaneKey:
        """Return the lane of an event."""
        return self._shown(_lane_key(event, self.agent, self.tools))

    def of_call(self, call: Event) -> LaneKey:
        """Return the lane of the bar of a call, which may be one of the calls inside a message."""
        return self._shown(LaneKey("tools", _tool(call)))

    def _shown(self, key: LaneKey) -> LaneKey:
        return key if key in self.order else _OTHER_TOOLS


def _lanes(events: Sequence[Event], calls: Calls, agent: str) -> tuple[_Lanes, tuple[str, ...]]:
    """Return the lanes that these events need, and the tools without a lane of their own.

    The most frequent tools have a lane, at most TOOL_LANES_MAX of them.
    """
    tools = {Position.of(end): _tool(call) for call, end in calls.ended}
    used = Counter(_lane_key(event, agent, tools) for event in events)
    used.update(LaneKey("tools", _tool(call)) for call in (*(call for call, _ in calls.ended), *calls.open))
    by_tool = Counter({key: number for key, number in used.items() if key.actor == "tools"})
    kept = {
        key for key, _ in by_tool.most_common(TOOL_LANES_MAX if len(by_tool) <= TOOL_LANES_MAX else TOOL_LANES_MAX - 1)
    }
    others = [key for key in by_tool if key not in kept]
    shown = [key for key in used if key not in others] + [_OTHER_TOOLS] * bool(others)
    order = tuple(sorted(shown, key=lambda key: _ACTORS.index(key.actor)))
    return _Lanes(order, agent, tools), tuple(_lane_name(key) for key in others)


def _lane_key(event: Event, agent: str, tools: Mapping[Position, str]) -> LaneKey:
    actor = lane_of(event)
    if actor == "tools":
        return LaneKey(actor, tools.get(Position.of(event), "") or _tool(event))
    is_of_other = bool(agent and event.agent and event.agent != agent)
    return _SUB_AGENTS if is_of_other and actor in ("assistant", "system") else LaneKey(actor)


def _tool(event: Event) -> str:
    return event.tool or ("search" if category_of(event.type) == SEARCH else "")


def _lane_name(key: LaneKey) -> str:
    return (key.tool or "Unnamed tool") if key.actor == "tools" else key.actor.capitalize()


def _lane(key: LaneKey, middle: float, other_tools: Sequence[str]) -> Lane:
    name = _lane_name(key)
    if key == _OTHER_TOOLS:
        label = f"{name} ({len(other_tools)})"
        return Lane(label, f"{label}: {', '.join(other_tools)}", middle, is_tool=False)
    return Lane(cut_in_middle(name, _LANE_NAME_CHARS), name, middle, is_tool=key.actor == "tools")


def cut_in_middle(text: str, chars: int) -> str:
    """Return the text with at most this number of characters. A longer one keeps its beginning and its end."""
    if len(text) <= chars:
        return text
    end = (chars - 1) // 2
    return f"{text[: chars - 1 - end]}…{text[-end:]}"


def _spans(
    xs: Mapping[Position, float], calls: Calls, lanes: _Lanes, middle: Mapping[LaneKey, float], scale: Scale
) -> tuple[Span, ...]:
    joined = (_span(call, end, middle[lanes.of_call(call)], xs) for call, end in calls.ended)
    until = max([scale.x(scale.end_us), *xs.values()])
    waiting = (_open_span(call, calls.note(call), middle[lanes.of_call(call)], xs, until) for call in calls.open)
    return (*joined, *waiting)


def _span(call: Event, end: Event, middle: float, xs: Mapping[Position, float]) -> Span:
    start, stop = xs[Position.of(call)], xs.get(Position.of(end))
    duration = format_milliseconds(took_ms(call.occurred_us, call.entry_id.ms, end))
    beyond = " (return after this timeline)" if stop is None else ""
    title = escape_control_chars_text(
        one_line(f"{call.tool or call.type}, {duration} from call to return{beyond}", 200)
    )
    width = round(max(0.0, (100.0 if stop is None else stop) - start), 3)
    return Span(start, width, middle - BAR_HEIGHT / 2, end.is_error, title)


def _open_span(call: Event, note: str, middle: float, xs: Mapping[Position, float], until: float) -> Span:
    start = xs[Position.of(call)]
    title = escape_control_chars_text(one_line(f"{call.tool or call.type}: {note}", 200))
    width = round(min(100 - start, max(0.5, until - start)), 3)
    return Span(start, width, middle - BAR_HEIGHT / 2, False, title, is_open=True)


def _end(scale: Scale) -> datetime:
    """Return the end of the axis: at most the last time that can be written, because an event may be at it."""
    return datetime_from_us(min(scale.end_us, MAX_DATETIME_MS * 1000))


def _idle(start_us: int, end_us: int, scale: Scale) -> Idle:
    x = scale.x(start_us)
    anchor = "start" if x < 4 else "end" if x > 92 else "middle"
    return Idle(x, scale.zigzag, format_duration(timedelta(microseconds=end_us - start_us)), anchor)


def _now(now: datetime, scale: Scale) -> Now:
    x = scale.x(scale.end_us)
    has_label = not scale.gaps or x - scale.x(scale.gaps[-1][1]) >= _LABEL_ROOM
    return Now(x, f"Now: {now:%H:%M:%S} UTC", has_label)


def _ticks(scale: Scale, *, has_now: bool) -> tuple[Tick, ...]:
    """Return labels of round elapsed times since the start. They avoid idle periods, each other and the present."""
    last_x = 100.0 - (_LABEL_ROOM if has_now else 0)
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
        # The first round time after a collapsed period, then every step.
        elapsed_us = -(-(start - scale.start_us) // step_us) * step_us
        while (moment_us := scale.start_us + elapsed_us) <= end:
            x = scale.x(moment_us)
            beside_idle = any(abs(x - scale.x(gap[0])) < _LABEL_ROOM for gap in scale.gaps)
            if ticks[-1].x + _LABEL_ROOM <= x <= last_x and not beside_idle:
                label = format_duration(timedelta(microseconds=elapsed_us))
                is_last = x > 90  # a narrow window has no space for the whole label
                is_minor = is_last or len(ticks) % 2 == 1
                ticks.append(Tick(x, label, datetime_from_us(moment_us), "end" if is_last else "middle", is_minor))
            elapsed_us += step_us
    return tuple(ticks)


def _second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
