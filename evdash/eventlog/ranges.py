"""Time ranges in which events are counted: half open, an end that is None is open."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from evdash.events.duplicates import Change
from evdash.events.event import us_from_datetime

RangeUs = tuple[int | None, int | None]
"""Unix microseconds."""


def whole_minutes(since: datetime | None, until: datetime | None) -> tuple[datetime | None, datetime | None]:
    """The range widened to whole minutes, in which events are counted."""
    since = since.replace(second=0, microsecond=0) if since else None
    if until and (until.second or until.microsecond):
        until = until.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return since, until


def in_us(since: datetime | None, until: datetime | None) -> RangeUs:
    """The range in Unix microseconds."""
    return (us_from_datetime(since) if since else None, us_from_datetime(until) if until else None)


def within(changes: Iterable[Change], range_us: RangeUs) -> list[Change]:
    """Those whose events occurred in the range."""
    since_us, until_us = range_us
    return [
        change
        for change in changes
        if (since_us is None or change.event.occurred_us >= since_us)
        and (until_us is None or change.event.occurred_us < until_us)
    ]
