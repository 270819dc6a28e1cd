"""The geometry of the pictures: everything within the frame, in order, and true to the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evdash.events.event import Event
from evdash.events.text import one_line
from evdash.web.charts.axis import Scale
from evdash.web.charts.calendar import calendar
from evdash.web.charts.histogram import histogram_picture, time_ticks
from evdash.web.charts.timeline import (
    APART_AT_LEAST,
    BAR_HEIGHT,
    LANE_HEIGHT,
    SAME_PLACE,
    TOOL_LANES_MAX,
    Timeline,
    cut_in_middle,
    places,
    timeline,
)
from evdash.web.control_characters import escape_control_chars_html, escape_control_chars_text
from evdash.web.event_display.calls import KnownEnd, calls_among
from evdash.web.formatting import format_age, format_duration, format_milliseconds, format_percent, format_size
from tests.builders import event

START_MS = 1_764_000_000_000
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Bucket:
    start: datetime
    end: datetime
    events: int
    errors: int


def buckets(*counts: tuple[int, int], minutes: int = 5) -> list[Bucket]:
    width = timedelta(minutes=minutes)
    return [Bucket(NOW + width * n, NOW + width * (n + 1), *count) for n, count in enumerate(counts)]


def at(after_ms: int, **fields: str) -> Event:
    time_ms = START_MS + after_ms
    return event(f"{time_ms}-0", timestamp=str(time_ms), **{"type": "message.added", "role": "user"} | fields)


def drawn(*events: Event) -> Timeline:
    """The picture of events after which nothing is known."""
    picture = timeline(events, calls_among(events, end=None))
    assert picture is not None
    return picture


def test_a_bar_is_as_high_as_its_share_and_errors_have_a_strip_with_their_own_scale() -> None:
    counts = ((1_000, 0), (500, 3), (10, 6), (0, 0))
    picture = histogram_picture(buckets(*counts), lambda since, until: "x", height=114)
    assert picture is not None
    full, half, few, none = picture.bars
    assert (full.y, full.height, full.error_height) == (14, 100, 0)
    assert (half.y, half.height) == (64, 50)
    assert few.error_height == 2 * half.error_height == 20, "the most errors fill the strip"
    assert all(bar.error_y + bar.error_height == picture.whole_height for bar in picture.bars)
    assert (none.height, none.error_height) == (0, 0)
    assert (picture.most, picture.most_errors) == ("1,000 events in 5 min", "6 errors in 5 min")
    assert picture.summary.startswith("1,510 events, 9 errors")
    assert picture.summary.endswith("at most 1,000 events and 6 errors in 5 min")


def test_a_strip_of_errors_needs_an_error_and_an_event_that_is_not_one() -> None:
    without = histogram_picture(buckets((7, 0)), lambda since, until: "x")
    only = histogram_picture(buckets((7, 7), (0, 0), (1, 1)), lambda since, until: "x")
    assert without is not None
    assert only is not None
    assert (without.most_errors, without.whole_height, without.is_of_errors) == ("", without.height, False)
    assert (only.most_errors, only.whole_height, only.is_of_errors) == ("", only.height, True)
    assert (without.most, only.most) == ("7 events in 5 min", "7 errors in 5 min")


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=60))
def test_every_bar_lies_within_the_picture_and_one_event_is_seen(counts: list[tuple[int, int]]) -> None:
    pairs = [(max(pair), min(pair)) for pair in counts]
    picture = histogram_picture(buckets(*pairs), lambda since, until: "x")
    for bar, (events, errors) in zip(picture.bars if picture else (), pairs, strict=False):
        assert picture is not None
        assert 0 <= bar.x <= bar.x + bar.width <= 100.01
        assert 0 <= bar.y <= bar.y + bar.height <= picture.height + 0.01
        assert (bar.height >= 2) == (events > 0)
        if picture.most_errors:
            assert picture.height < bar.error_y <= bar.error_y + bar.error_height <= picture.whole_height + 0.01
            assert (bar.error_height >= 2) == (errors > 0)
        else:
            assert bar.error_height == 0


def test_without_events_there_is_no_histogram() -> None:
    assert histogram_picture([], lambda since, until: "x") is None
    assert histogram_picture(buckets((0, 0)), lambda since, until: "x") is None


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)), st.timedeltas(timedelta(0), timedelta(days=2_900_000))
)
def test_axis_labels_are_few_in_order_and_within(start: datetime, whole: timedelta) -> None:
    start = start.replace(tzinfo=UTC)
    try:
        end = start + whole
    except OverflowError:
        end = datetime.max.replace(tzinfo=UTC)
    ticks = time_ticks(start, end)
    assert len(ticks) <= 8
    assert all(0 <= tick.x <= 100 for tick in ticks)
    assert [tick.x for tick in ticks] == sorted(tick.x for tick in ticks)


def test_a_latency_is_a_bar_that_ends_with_its_event_and_other_events_are_ticks() -> None:
    picture = drawn(at(0), at(10_000, role="assistant", latency_ms="5000"))
    tick, bar = picture.marks
    assert tick.bar_width == 0
    assert (bar.x, bar.bar_x, bar.bar_width) == (99, 50, 49)
    assert tick.y < bar.y == LANE_HEIGHT * 1.5 - BAR_HEIGHT / 2


def test_a_call_and_its_return_are_joined() -> None:
    call = at(0, type="tool.called", tool="find", call_id="c")
    other = at(1_000)
    back = at(2_000, type="error.occurred", tool="find", call_id="c", error="no")
    picture = drawn(call, other, back)
    (joined,) = picture.spans
    assert (joined.x, joined.width, joined.is_error) == (1, 98, True)
    assert joined.title == "find, 2 s from call to return"


def calls_of(*tools: str) -> list[Event]:
    return [
        each
        for n, tool in enumerate(tools)
        for each in (
            at(2_000 * n, type="tool.called", tool=tool, call_id=f"c{n}"),
            at(2_000 * n + 1_000, type="tool.returned", tool="", call_id=f"c{n}"),
        )
    ]


def test_each_tool_has_a_lane_by_its_name_and_lanes_without_events_are_left_out() -> None:
    long_name = "update_reservation_flights_of_booking"
    said = at(9_000, role="assistant", agent="main")
    other = at(9_500, role="assistant", agent="billing")
    picture = timeline(
        [*calls_of("find", long_name), at(8_000), said, other, at(9_900, type="memory.cleared")],
        calls_among(calls_of("find", long_name), end=None),
        agent="main",
    )
    assert picture is not None
    names = ["User", "Assistant", "find", long_name, "Memory", "Sub-agents"]
    assert [lane.name for lane in picture.lanes] == names
    assert [lane.label for lane in picture.lanes][3] == "update_res…f_booking"
    assert picture.height == LANE_HEIGHT * len(names)
    rows = {lane.middle - BAR_HEIGHT / 2: lane.name for lane in picture.lanes}
    assert [rows[span.y] for span in picture.spans] == ["find", long_name]
    assert [rows[mark.y] for mark in picture.marks][:4] == ["find", "find", long_name, long_name], (
        "a return has the lane of its call"
    )


def test_the_most_frequent_tools_have_a_lane_and_the_others_share_one() -> None:
    tools = [f"tool_{n}" for n in range(TOOL_LANES_MAX)]
    assert [lane.label for lane in drawn(*calls_of(*tools)).lanes] == tools
    rare = ["once", "once_more"]
    picture = drawn(*calls_of(*rare, *tools[1:], *tools[1:]))
    assert [lane.label for lane in picture.lanes] == [*tools[1:], "Other tools (2)"]
    assert picture.other_tools == tuple(rare)
    assert picture.lanes[-1].name == "Other tools (2): once, once_more"


def test_the_present_of_a_running_session_is_the_end_of_its_timeline() -> None:
    call = at(1_000, type="tool.called", tool="find", call_id="c")
    events = [at(0), call]
    now = datetime.fromtimestamp((START_MS + 11_000) / 1000, UTC)
    waiting = calls_among(events, end=KnownEnd(call, now, "running"))
    picture = timeline(events, waiting, now=now)
    assert picture is not None
    assert picture.now is not None
    assert (picture.now.x, picture.now.title) == (99, "Now: 16:00:11 UTC")
    (span,) = picture.spans
    assert span.x + span.width == pytest.approx(99)
    ended = timeline(events, waiting)
    assert ended is not None
    assert ended.now is None


def test_a_scale_tells_the_time_of_every_position() -> None:
    picture = drawn(*(at(1_000 * n) for n in range(10)), *(at(7_200_000 + 1_000 * n) for n in range(10)))
    corners = [tuple(map(float, corner.split(":"))) for corner in picture.scale.split()]
    assert (corners[0], corners[-1]) == ((1, START_MS), (99, START_MS + 7_209_000))
    assert corners == sorted(corners)
    assert corners[1][0] == picture.idle[0].x


@given(st.text(min_size=1), st.integers(3, 40))
def test_a_name_cut_in_the_middle_keeps_its_ends(text: str, chars: int) -> None:
    cut = cut_in_middle(text, chars)
    assert len(cut) == min(len(text), chars)
    assert (cut[0], cut[-1]) == (text[0], text[-1])


def test_a_long_idle_stretch_is_collapsed_and_says_how_long_it_was() -> None:
    busy = [at(1_000 * n) for n in range(10)]
    later = [at(7_200_000 + 1_000 * n) for n in range(10)]
    picture = drawn(*busy, *later)
    (idle,) = picture.idle
    assert idle.label == "1 h 59 min"
    assert picture.marks[9].x < idle.x < idle.x + idle.width < picture.marks[10].x
    assert picture.marks[9].x > 40


def test_even_pauses_are_not_collapsed() -> None:
    picture = drawn(*(at(60_000 * n) for n in range(10)))
    assert picture.idle == ()


_moments = st.lists(
    st.tuples(st.integers(0, 10**10), st.sampled_from(["", "5", "1e9", "3600000"]), st.sampled_from(["c1", "c2", ""])),
    min_size=1,
    max_size=40,
)


@given(_moments)
def test_every_mark_lies_within_and_in_the_order_of_time(moments: list[tuple[int, str, str]]) -> None:
    kinds = ("tool.called", "tool.returned")
    events = [at(ms, latency_ms=latency, call_id=call, type=kinds[ms % 2]) for ms, latency, call in moments]
    picture = drawn(*events)
    assert all(0 <= m.bar_x <= m.x <= 100 for m in picture.marks)
    assert sum(mark.events for mark in picture.marks) == len(events)
    assert all(0 <= s.x <= 100 and 0 <= s.width <= 100 for s in picture.spans)
    assert all(0 <= t.x <= 100 for t in picture.ticks)
    assert sum(i.width for i in picture.idle) <= 30.01


def in_seconds(*seconds: int, lanes: tuple[str, ...] = ()) -> list[Event]:
    """Events whose producer says whole seconds after the start, a millisecond apart in the stream."""
    roles = lanes or ("user",) * len(seconds)
    return [
        event(f"{START_MS + n}-0", type="message.added", role=role, timestamp=str(START_MS // 1000 + second))
        for n, (second, role) in enumerate(zip(seconds, roles, strict=True))
    ]


def test_events_of_one_second_stand_beside_each_other_in_the_streams_order() -> None:
    assert [mark.x for mark in drawn(*in_seconds(0, 60, 60, 60, 100)).marks] == [1, 59.8, 60.5, 61.2, 99]
    of_others = in_seconds(0, 60, 60, 60, 100, lanes=("user", "user", "tool", "tool", "user"))
    assert [mark.x for mark in drawn(*of_others).marks] == [1, 59.8, 59.8, 60.5, 99]


def test_events_that_have_no_room_beside_each_other_are_one_mark_that_tells_of_all() -> None:
    events = in_seconds(0, *[300] * 5, *range(301, 600))
    picture = drawn(*events)
    together = next(mark for mark in picture.marks if mark.events > 1)
    assert together.events == 5
    assert len(together.element_ids.split()) == 5
    assert together.address == f"#{together.element_ids.split()[0]}"
    head, *lines = together.title.split("\n")
    assert head == "5 events, 16:05:00.000"
    assert len(lines) == 5
    assert together.label == ""  # the next one is too near
    with_room = drawn(*in_seconds(*[0] * 40, 1, *range(20, 60), lanes=("user",) * 40 + ("tool",) + ("user",) * 40))
    assert (with_room.marks[0].events, with_room.marks[0].label) == (40, "40")
    many = drawn(*in_seconds(0, *[300] * 40, *range(301, 600)))
    assert next(mark for mark in many.marks if mark.events > 1).title.endswith("\nand 28 more")


_lanes = st.sampled_from(("user", "assistant", "tool"))
_crowd = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6), _lanes), min_size=1, max_size=30)


@given(_crowd, st.sampled_from((1, 1_000, 86_400_000)))
def test_marks_keep_the_order_of_time_and_of_the_stream_and_those_of_a_lane_stand_apart(
    crowd: list[tuple[int, int, str]], step_ms: int
) -> None:
    moments = [(after * step_ms, lane) for after, times, lane in crowd for _ in range(times)]
    events = [
        event(f"{START_MS + n}-0", type="message.added", role=lane, timestamp=str(START_MS + ms))
        for n, (ms, lane) in enumerate(moments)
    ]
    lanes = [lane for _, lane in moments]
    scale = Scale(sorted((e.occurred_us, e.occurred_us) for e in events))
    xs = places(events, lanes, scale)
    ordered = sorted(range(len(events)), key=lambda n: events[n].occurred_us)
    assert [xs[n] for n in ordered] == sorted(xs)
    for n in ordered:
        true = scale.x(events[n].occurred_us)
        nexts = [x for e in events if (x := scale.x(e.occurred_us)) >= true + SAME_PLACE]
        later = min(nexts, default=100.0)
        assert true - SAME_PLACE < xs[n] <= later
    for lane in set(lanes):
        own = sorted({x for x, its in zip(xs, lanes, strict=True) if its == lane})
        assert all(b - a >= SAME_PLACE - 0.002 for a, b in pairwise(own))
    for moment in {e.occurred_us for e in events}:
        same = [n for n, e in enumerate(events) if e.occurred_us == moment]
        for lane in {lanes[n] for n in same}:
            own = sorted(xs[n] for n in same if lanes[n] == lane)
            apart = all(b - a >= APART_AT_LEAST - 0.002 for a, b in pairwise(own))
            assert apart or len(set(own)) == 1


@given(_crowd)
def test_every_mark_is_reached_where_it_stands_and_no_two_of_a_lane_at_one_place(
    crowd: list[tuple[int, int, str]],
) -> None:
    seconds = [after for after, times, _ in crowd for _ in range(times)]
    lanes = tuple(lane for _, times, lane in crowd for _ in range(times))
    picture = drawn(*in_seconds(*seconds, lanes=lanes))
    for y in {mark.y for mark in picture.marks}:
        own = sorted((mark for mark in picture.marks if mark.y == y), key=lambda mark: mark.x)
        assert all(mark.touch_x < mark.x < mark.touch_x + mark.touch_width for mark in own)
        assert all(a.touch_x + a.touch_width <= b.touch_x + 0.001 for a, b in pairwise(own))


def test_a_bar_does_not_keep_the_pointer_from_what_stands_on_it() -> None:
    under, on = in_seconds(9, 4)
    long = event(f"{START_MS}-0", type="message.added", role="user", timestamp=f"{START_MS + 9_000}", latency_ms="8000")
    assert [mark.is_under for mark in drawn(long, on).marks] == [True, False]
    assert [mark.is_under for mark in drawn(long, under).marks] == [False, False]


def test_no_events_have_no_picture() -> None:
    assert timeline([], calls_among([], end=None)) is None


@dataclass(frozen=True)
class Day:
    events: int
    errors: int


def test_a_calendar_of_months_has_a_column_per_week_and_links_days_with_events() -> None:
    picture = calendar({date(2026, 11, 23): Day(8, 1), date(2026, 10, 11): Day(1, 0), date(2026, 8, 5): Day(0, 0)}, str)
    assert picture
    assert len({square.x for square in picture.squares}) == 8  # from the week of the first day to that of the last
    assert len(picture.squares) == 7 * 7 + 1  # no day after the last one
    assert [label.text for label in picture.labels if label.y >= 0] == ["Mon", "Wed", "Fri"]
    assert [label.text for label in picture.labels if label.y < 0] == ["Oct 2026", "Nov"]
    linked = [square for square in picture.squares if square.address]
    assert [(square.address, square.level, square.has_errors) for square in linked] == [
        ("2026-10-11", 1, False),
        ("2026-11-23", 4, True),
    ]
    assert linked[1].title == "Mon 23 Nov 2026: 8 events, 1 error"
    assert picture.summary == "2 days with events from 11 Oct 2026 to 23 Nov 2026"


def test_a_calendar_below_thirty_days_has_one_strip_per_week() -> None:
    picture = calendar({date(2026, 11, 18): Day(3, 0), date(2026, 11, 23): Day(8, 0)}, str)
    assert picture
    assert len(picture.squares) == 7 + 1
    assert [label.text for label in picture.labels] == [
        "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "16 Nov", "23 Nov",
    ]  # fmt: skip
    assert calendar({}, str) is None


def test_a_calendar_leaves_out_long_times_without_events_but_no_event() -> None:
    picture = calendar({date(1970, 1, 1): Day(1, 0), date(2026, 11, 23): Day(8, 0)}, str)
    assert picture
    assert [square.address for square in picture.squares if square.address] == ["1970-01-01", "2026-11-23"]
    assert picture.width < 100
    assert [label.title for label in picture.labels if label.title] == ["2,968 weeks without events"]


def test_what_cannot_be_seen_is_named_and_the_rest_is_escaped() -> None:
    assert str(escape_control_chars_html("<a>\u202e&")) == (
        '&lt;a&gt;<span class="unseen" dir="ltr" title="U+202E RIGHT-TO-LEFT OVERRIDE">‹202E›</span>&amp;'
    )
    assert escape_control_chars_html("a\r\nb\tc") == "a\r\nb\tc"
    assert escape_control_chars_text("a\x00b") == "a‹00›b"
    assert "+992" in str(escape_control_chars_html("\x00" * 1000))


@given(st.text())
def test_visible_text_can_be_sent_and_holds_no_control_characters(text: str) -> None:
    for shown in (str(escape_control_chars_html(text)), escape_control_chars_text(text)):
        shown.encode("utf-8")
        assert "\x00" not in shown
        assert "\u202e" not in shown


def test_one_line_is_one_line() -> None:
    assert one_line(" a\n\tb ", 10) == "a b"
    assert one_line("abcdef", 4) == "abc…"


def test_spans_and_numbers_are_said_as_a_person_says_them() -> None:
    assert [format_milliseconds(ms) for ms in (0, 0.25, 412, 3_300, 20_000, 83_000)] == [
        "0 ms", "0.25 ms", "412 ms", "3.3 s", "20 s", "1 min 23 s",
    ]  # fmt: skip
    assert format_duration(timedelta(hours=2, minutes=10, seconds=59)) == "2 h 10 min"
    assert format_duration(timedelta(days=3000)) == "8 y 80 d"
    assert format_duration(timedelta(seconds=-90)) == "−1 min 30 s"
    assert format_age(NOW - timedelta(minutes=5), NOW) == "5 min ago"
    assert format_age(NOW + timedelta(days=2), NOW) == "in 2 d"
    assert [format_size(n) for n in (812, 14_200, 1_048_576)] == ["812 B", "14.2 kB", "1.0 MB"]
    assert [format_percent(p) for p in (0, 0.0001, 0.011, 0.5)] == ["0.0 %", "< 0.1 %", "1.1 %", "50 %"]
