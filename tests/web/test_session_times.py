"""When a session was: two clocks that agree, that differ, and IDs that are no time of writing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from evdash.events.deduplication import CountChange
from evdash.events.summaries import SessionSummary, sessions_of
from evdash.web.session_status import ClockedValue, session_status, session_times
from tests.builders import event

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def written(*ago: tuple[timedelta, timedelta]) -> SessionSummary:
    """A session whose entries were written so long ago, and so long ago by its producer's clock."""
    events = (
        event(f"{round((NOW - by_redis).timestamp() * 1000)}-0", session_id="s", timestamp=(NOW - said).isoformat())
        for by_redis, said in ago
    )
    return sessions_of(CountChange(each, 1) for each in events)["s"]


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_clocks_that_agree_are_one_and_the_producers_is_told() -> None:
    times = session_times(written((seconds(60), seconds(63)), (seconds(20), seconds(21))), NOW)
    assert times.started == ClockedValue(NOW - seconds(63))
    assert times.last == ClockedValue(NOW - seconds(21))
    assert times.duration == ClockedValue(seconds(42))


def test_a_producer_that_is_days_behind_runs_by_the_clock_that_says_so() -> None:
    summary = written((seconds(60), 3 * DAY + seconds(60)), (seconds(20), 3 * DAY + seconds(20)))
    times = session_times(summary, NOW)
    assert session_status(summary, NOW) == "running"
    assert times.started == ClockedValue(NOW - seconds(60), NOW - 3 * DAY - seconds(60))
    assert times.last == ClockedValue(NOW - seconds(20), NOW - 3 * DAY - seconds(20))
    assert times.duration == ClockedValue(seconds(40))


def test_a_clock_that_went_back_makes_no_session_of_forty_days() -> None:
    times = session_times(written((seconds(60), seconds(60)), (seconds(20), 40 * DAY)), NOW)
    assert times.started == ClockedValue(NOW - seconds(60), NOW - 40 * DAY)
    assert times.last == ClockedValue(NOW - seconds(60))
    assert times.duration == ClockedValue(seconds(40), 40 * DAY - seconds(60))


@pytest.mark.parametrize("entry_id", ["5-0", "9999999999999-0", f"{2**64 - 1}-0"])
def test_an_id_that_somebody_chose_is_no_time_and_the_producers_counts(entry_id: str) -> None:
    said = NOW - timedelta(hours=30)
    summary = SessionSummary.of(CountChange(event(entry_id, session_id="s", timestamp=said.isoformat()), 1))
    times = session_times(summary, NOW)
    assert times.last == ClockedValue(said)
    assert times.duration == ClockedValue(timedelta())
    assert session_status(summary, NOW) == "abandoned"
