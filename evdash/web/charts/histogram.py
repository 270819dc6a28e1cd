"""Geometry of histograms, time axes and share bars: numbers in, coordinates out.

Horizontal coordinates are per cent of the width, so that one drawing fits every screen without distorting its text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from evdash.web.formatting import format_count, format_duration

HISTOGRAM_HEIGHT: Final = 80
# The strip of the errors below the bars, with the space between them.
_ERRORS_HEIGHT: Final = 34
_ERRORS_GAP: Final = 6
# The space above the bars, for the count of the highest one.
_HEAD_ROOM: Final = 14
_AXIS_LABELS: Final = 7
_STEPS: Final = (
    *(timedelta(seconds=s) for s in (1, 2, 5, 10, 15, 30)),
    *(timedelta(minutes=m) for m in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=h) for h in (1, 2, 3, 6, 12)),
    *(timedelta(days=d) for d in (1, 2, 7, 14, 28, 91, 182, 364, 1820, 3640)),
    *(timedelta(days=36_400 * n) for n in (1, 5, 20)),
)


class BucketLike(Protocol):
    """One bucket of a histogram: its time range (`end` excluded) and its counts."""

    @property
    def start(self) -> datetime: ...
    @property
    def end(self) -> datetime: ...
    @property
    def events(self) -> int: ...
    @property
    def errors(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of events, and below it the bar of their errors, which has a scale of its own."""

    x: float
    width: float
    y: float
    height: float
    error_y: float
    error_height: float
    title: str
    since: str
    until: str
    address: str


@dataclass(frozen=True, slots=True)
class Tick:
    """One label of the time axis."""

    x: float
    label: str
    moment: datetime
    anchor: str
    is_minor: bool  # True: omitted on a narrow screen


@dataclass(frozen=True, slots=True)
class HistogramPicture:
    """The context of templates/charts/_histogram.html."""

    height: int  # of the bars of events
    whole_height: int  # with the strip of errors
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    most: str  # the scale: the highest bar in words
    most_errors: str  # the scale of the strip of errors; "" without that strip
    is_of_errors: bool  # every event is an error, so that the bars are those of the errors
    summary: str  # the histogram in one sentence, for people who cannot see it
    start: datetime
    end: datetime


def histogram_picture(
    buckets: Sequence[BucketLike], address: Callable[[datetime, datetime], str], height: int = HISTOGRAM_HEIGHT
) -> HistogramPicture | None:
    """Return the bars and the axis of a histogram; None without events. `address` links a bar to its time range."""
    if not buckets or not any(bucket.events for bucket in buckets):
        return None
    most, most_errors = max(bucket.events for bucket in buckets), max(bucket.errors for bucket in buckets)
    is_of_errors = all(bucket.events == bucket.errors for bucket in buckets)
    if is_of_errors:
        most_errors = 0  # the strip would repeat the bars
    scale = _Scale(100 / len(buckets), height, most, most_errors)
    bars = tuple(_bar(bucket, scale, index, address(bucket.start, bucket.end)) for index, bucket in enumerate(buckets))
    start, end = buckets[0].start, buckets[-1].end
    events, errors = sum(b.events for b in buckets), sum(b.errors for b in buckets)
    each = format_duration(buckets[0].end - buckets[0].start)
    at_most = [format_count(most, "event"), *([format_count(most_errors, "error")] if most_errors else [])]
    return HistogramPicture(
        height=height,
        whole_height=height + (_ERRORS_GAP + _ERRORS_HEIGHT if most_errors else 0),
        bars=bars,
        ticks=time_ticks(start, end),
        most=f"{format_count(most, 'error' if is_of_errors else 'event')} in {each}",
        most_errors=f"{format_count(most_errors, 'error')} in {each}" if most_errors else "",
        is_of_errors=is_of_errors,
        summary=f"{format_count(events, 'event')}, {format_count(errors, 'error')} "
        f"from {_minute(start)} to {_minute(end)}, at most {' and '.join(at_most)} in {each}",
        start=start,
        end=end,
    )


def not_drawn(earlier: int, later: int, buckets: Sequence[BucketLike]) -> str:
    """Return the sentence on events whose times are outside the buckets; "" if there are none."""
    if not buckets or not (earlier or later):
        return ""
    parts = [
        f"{format_count(number, 'event')} {where} {_minute(moment)} UTC"
        for number, where, moment in ((earlier, "before", buckets[0].start), (later, "after", buckets[-1].end))
        if number
    ]
    return f"{' and '.join(parts)} {'is' if earlier + later == 1 else 'are'} outside the chart."


@dataclass(frozen=True, slots=True)
class _Scale:
    """The width of a bucket, the height of the bars of events, and the largest numbers."""

    width: float
    height: int
    most: int
    most_errors: int  # 0: no strip of errors


def _bar(bucket: BucketLike, scale: _Scale, index: int, address: str) -> Bar:
    events = _bar_height(bucket.events, scale.most, scale.height)
    errors = _bar_height(bucket.errors, scale.most_errors, _ERRORS_HEIGHT)
    whole = scale.height + _ERRORS_GAP + _ERRORS_HEIGHT
    return Bar(
        x=_rounded(scale.width * (index + 0.06)),
        width=_rounded(scale.width * 0.88),
        y=_rounded(scale.height - events),
        height=_rounded(events),
        error_y=_rounded(whole - errors),
        error_height=_rounded(errors),
        title=f"{_minute(bucket.start)} + {format_duration(bucket.end - bucket.start)}: "
        f"{format_count(bucket.events, 'event')}, "
        f"{format_count(bucket.errors, 'error')}",
        since=_iso(bucket.start),
        until=_iso(bucket.end),
        address=address,
    )


def _bar_height(number: int, most: int, height: int) -> float:
    # A bar is at least two pixels high, so that one event among thousands is visible.
    return max(2.0, number / most * (height - _HEAD_ROOM)) if number and most else 0.0


def time_ticks(start: datetime, end: datetime, labels: int = _AXIS_LABELS) -> tuple[Tick, ...]:
    """Return labels at round times (UTC) between two times, at most `labels` + 1."""
    whole = end - start
    if whole <= timedelta():
        return ()
    step = round_step(whole, labels)
    pattern = "%H:%M:%S" if step < timedelta(minutes=1) else "%H:%M" if step < timedelta(days=1) else "%d %b"
    pattern = "%b %Y" if step >= timedelta(days=91) else pattern
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    moment = epoch + -(-(start - epoch) // step) * step
    ticks: list[Tick] = []
    while moment <= end and len(ticks) <= labels:
        x = _rounded((moment - start) / whole * 100)
        is_day = step < timedelta(days=1) and moment.hour == moment.minute == moment.second == 0
        label = moment.strftime("%d %b" if is_day else pattern)
        anchor = "start" if x < 4 else "end" if x > 96 else "middle"
        ticks.append(Tick(x, label, moment, anchor, len(ticks) % 2 == 1))
        try:
            moment += step
        except OverflowError:  # past the year 9999
            break
    return tuple(ticks)


def round_step(whole: timedelta, labels: int) -> timedelta:
    """Return the smallest round step that divides a duration into at most `labels` parts, or else the largest."""
    return next((step for step in _STEPS if whole / step <= labels), _STEPS[-1])


@dataclass(frozen=True, slots=True)
class Share:
    """One line of a list with bars: a value, its count, and its width in per cent of the largest count."""

    value: str
    count: int
    width: float
    address: str
    is_set: bool = False


def shares(values: Sequence[tuple[str, int, str]]) -> tuple[Share, ...]:
    """Return values with their counts and links as bars relative to the largest count."""
    most = max((number for _, number, _ in values), default=0)
    return tuple(
        Share(value, number, _rounded(number / most * 100) if most else 0.0, address)
        for value, number, address in values
    )


def _rounded(number: float) -> float:
    return round(number, 3)


def _minute(moment: datetime) -> str:
    return moment.strftime("%d %b %Y %H:%M" if moment.second == 0 else "%d %b %Y %H:%M:%S")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
