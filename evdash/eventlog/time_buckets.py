"""Time slots (minutes, hours and days in UTC) in which events are counted, and histograms."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import repeat
from typing import Final

from evdash.eventlog.records import Bucket, Histogram
from evdash.events.clock_skew import AHEAD_AT_MOST_US
from evdash.events.deduplication import CountChange
from evdash.events.event import datetime_from_us, us_from_datetime

MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400
WIDTHS_S = (MINUTE_S, HOUR_S, DAY_S)
LAST_SLOT_END_S = 253_402_300_800  # the end of the year 9999, the limit of event times


def slot_start_s(unix_us: int, width_s: int) -> int:
    """Return the start, in Unix seconds, of the slot of this width that contains the time."""
    return unix_us // 1_000_000 // width_s * width_s


def slots_of_range(since_s: int, until_s: int) -> list[tuple[int, int, int]]:
    """Return the fewest slots that add up to a range that starts and ends on whole minutes.

    The result has (width_s, first start, end) for each run of slots: minutes, hours, days, hours, minutes. Empty runs
    are left out.
    """
    runs: list[tuple[int, int, int]] = []
    head_s, tail_s = since_s, until_s
    tail_runs: list[tuple[int, int, int]] = []
    for width_s, wider_s in ((MINUTE_S, HOUR_S), (HOUR_S, DAY_S)):
        inner_head_s = -(-head_s // wider_s) * wider_s
        inner_tail_s = tail_s // wider_s * wider_s
        if inner_head_s >= inner_tail_s:
            runs.append((width_s, head_s, tail_s))
            head_s = tail_s
            break
        runs.append((width_s, head_s, inner_head_s))
        tail_runs.append((width_s, inner_tail_s, tail_s))
        head_s, tail_s = inner_head_s, inner_tail_s
    if head_s < tail_s:
        runs.append((DAY_S, head_s, tail_s))
    return [run for run in (*runs, *reversed(tail_runs)) if run[1] < run[2]]


RangeUs = tuple[int | None, int | None]
"""Start and end in Unix microseconds; None: open."""
ALL_TIME: Final[RangeUs] = (None, None)


def whole_minutes(since: datetime | None, until: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Return the range widened to whole minutes, in which events are counted."""
    since = since.replace(second=0, microsecond=0) if since else None
    if until and (until.second or until.microsecond):
        until = until.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return since, until


def in_us(since: datetime | None, until: datetime | None) -> RangeUs:
    """Return the range in Unix microseconds."""
    return (us_from_datetime(since) if since else None, us_from_datetime(until) if until else None)


def within(changes: Iterable[CountChange], range_us: RangeUs) -> list[CountChange]:
    """Return the changes whose events occurred in the range: start included, end excluded."""
    since_us, until_us = range_us
    return [
        change
        for change in changes
        if (since_us is None or change.event.occurred_us >= since_us)
        and (until_us is None or change.event.occurred_us < until_us)
    ]


BUCKETS_MAX = 60
SECOND_US = 1_000_000
FAR_OFF_FEW_US = 2 * 365 * 86_400 * SECOND_US

# Widths that people read easily: seconds, minutes, hours, days, weeks, 30 and 90 days, then years.
_WIDTHS_S = (
    1, 2, 5, 10, 15, 30,
    60, 120, 300, 600, 900, 1_800,
    3_600, 7_200, 10_800, 21_600, 43_200,
    86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000,
    31_536_000, 157_680_000, 315_360_000, 3_153_600_000, 31_536_000_000,
)  # fmt: skip


def histogram_of(
    times_us: Sequence[int], is_error: Iterable[int], range_us: tuple[int | None, int | None], now: datetime
) -> Histogram:
    """Return the histogram of events: their Unix microseconds, and 1 for each error, else 0.

    It spans the given range. An open end is set by the events themselves, without those whose time is far from the
    others.
    """
    return _histogram(times_us, repeat(1), is_error, range_us, now, least_width_s=1)


def weighted_histogram(
    counts: Sequence[tuple[int, int, int]],
    range_us: tuple[int | None, int | None],
    now: datetime,
    *,
    least_width_s: int = 1,
) -> Histogram:
    """Return the histogram of (Unix microseconds, events, errors) counts, which are already grouped in slots."""
    times_us, events, errors = zip(*counts, strict=True) if counts else ((), (), ())
    return _histogram(times_us, events, errors, range_us, now, least_width_s=least_width_s)


def _histogram(
    times_us: Sequence[int],
    events_at: Iterable[int],
    errors_at: Iterable[int],
    range_us: tuple[int | None, int | None],
    now: datetime,
    *,
    least_width_s: int,
) -> Histogram:
    if not times_us:
        return Histogram()
    first_us, last_us = _trimmed_range(sorted(times_us), us_from_datetime(now))
    since_us = range_us[0] if range_us[0] is not None else first_us
    until_us = range_us[1] if range_us[1] is not None else last_us + 1
    if range_us[0] is not None and range_us[1] is None:
        until_us = max(until_us, min(us_from_datetime(now), since_us + 2 * (until_us - since_us)))
    width_us = _width_s(since_us, until_us, least_width_s) * SECOND_US
    start_us = since_us // width_us * width_us
    number = max(1, -(-(until_us - start_us) // width_us))
    events = [0] * number
    errors = [0] * number
    earlier = later = 0
    for unix_us, events_there, errors_there in zip(times_us, events_at, errors_at, strict=False):
        index = (unix_us - start_us) // width_us
        if 0 <= index < number:
            events[index] += events_there
            errors[index] += errors_there
        elif index < 0:
            earlier += events_there
        else:
            later += events_there
    edges = [datetime_from_us(_within_calendar(start_us + index * width_us)) for index in range(number + 1)]
    buckets = tuple(Bucket(edges[i], edges[i + 1], events[i], errors[i]) for i in range(number))
    return Histogram(buckets, width_us / SECOND_US, earlier, later)


def _trimmed_range(times_us: Sequence[int], now_us: int) -> tuple[int, int]:
    """Return the first and the last time, without times that no clock can have and times far from the others.

    Times more than a day ahead of now are left out, unless all are. Then one hundredth at either end is left out, if
    the range becomes ten times shorter. Of fewer than ten times, one at either end is left out if it is more than two
    years away.
    """
    past_us = times_us[: bisect_right(times_us, now_us + AHEAD_AT_MOST_US)] or times_us
    first_us, last_us = past_us[0], past_us[-1]
    if len(past_us) < 3:
        return first_us, last_us
    cut = max(1, len(past_us) // 100)
    inner_first_us, inner_last_us = past_us[cut], past_us[-1 - cut]
    far_us = max(10 * (inner_last_us - inner_first_us), 10 * SECOND_US if len(past_us) >= 10 else FAR_OFF_FEW_US)
    if inner_first_us - first_us > far_us:
        first_us = inner_first_us
    if last_us - inner_last_us > far_us:
        last_us = inner_last_us
    return first_us, last_us


def _width_s(since_us: int, until_us: int, least_width_s: int) -> int:
    ideal_s = (until_us - since_us) / BUCKETS_MAX / SECOND_US
    return next((width for width in _WIDTHS_S if width >= ideal_s and width >= least_width_s), _WIDTHS_S[-1])


def _within_calendar(unix_us: int) -> int:
    return min(max(unix_us, 0), 253_402_300_799_999_999)
