"""The two clocks of an event: the producer's time, and the time at which Redis wrote the entry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from evdash.events.clock_skew import entry_time
from evdash.events.entry import EntryId
from evdash.events.event import Event

# Synchronized clocks of two machines differ by less than this, and producers write an event soon after it occurs.
AGREE_WITHIN: Final = timedelta(minutes=1)


def redis_time(entry_id: EntryId, now: datetime | None = None) -> datetime | None:
    """Return when Redis wrote the entry (UTC); None if a producer chose its ID."""
    return entry_time(entry_id, (now or datetime.now(UTC)) + AGREE_WITHIN)


def other_redis_time(event: Event, least: timedelta = timedelta(seconds=1)) -> datetime | None:
    """Return when Redis wrote the entry (UTC), if it differs from the event's time by that much; else None."""
    written = redis_time(event.entry_id)
    return written if written and abs(written - event.occurred_at) >= least else None


def clocks_differ(event: Event) -> bool:
    """Return whether the producer's time and Redis's differ by more than those of synchronized clocks."""
    return other_redis_time(event, AGREE_WITHIN) is not None
