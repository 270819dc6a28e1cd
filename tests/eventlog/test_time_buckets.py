"""Histograms show the time in which things happened, whatever single clocks say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from evdash.eventlog.records import Histogram
from evdash.eventlog.time_buckets import histogram_of
from evdash.events.event import us_from_datetime

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def drawn(*moments: datetime, since: datetime | None = None, until: datetime | None = None) -> Histogram:
    range_us = (us_from_datetime(since) if since else None, us_from_datetime(until) if until else None)
    return histogram_of([us_from_datetime(moment) for moment in moments], [0] * len(moments), range_us, NOW)


def spans(histogram: Histogram) -> timedelta:
    return histogram.buckets[-1].end - histogram.buckets[0].start


@pytest.mark.parametrize("number", [2, 23, 500])
def test_times_of_the_far_future_are_counted_apart_however_many_they_are(number: int) -> None:
    lately = [NOW - HOUR * n / number for n in range(number)]
    ahead = [datetime(9999, 12, 31, 23, tzinfo=UTC), *(NOW + timedelta(days=days) for days in (2, 300, 9_000))]
    histogram = drawn(*lately, *ahead)
    assert spans(histogram) < 2 * HOUR
    assert (histogram.earlier, histogram.later) == (0, 4)
    assert sum(bucket.events for bucket in histogram.buckets) == number


def test_of_a_few_events_one_that_is_years_away_is_not_drawn() -> None:
    histogram = drawn(datetime(1971, 1, 1, tzinfo=UTC), *(NOW - HOUR * n for n in range(4)))
    assert spans(histogram) < 5 * HOUR
    assert (histogram.earlier, histogram.later) == (1, 0)
    assert drawn(NOW - timedelta(days=300), NOW - HOUR, NOW).outside == 0


def test_a_clock_a_little_ahead_is_drawn_and_so_is_a_future_without_a_past() -> None:
    assert drawn(NOW, NOW + 5 * HOUR).outside == 0
    assert drawn(NOW + timedelta(days=400), NOW + timedelta(days=401)).outside == 0


def test_a_range_that_is_asked_for_is_drawn_whole() -> None:
    until = NOW + timedelta(days=30)
    histogram = drawn(NOW, NOW + timedelta(days=20), since=NOW - HOUR, until=until)
    assert histogram.buckets[-1].end >= until
    assert histogram.outside == 0
