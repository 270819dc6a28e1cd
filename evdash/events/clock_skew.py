"""Wrong clocks of producers: an event cannot occur after its entry was written."""

from __future__ import annotations

from datetime import datetime

from evdash.events.entry import MAX_DATETIME_MS, EntryId

# Time zones and wrong clocks differ by hours. A day exceeds both.
AHEAD_AT_MOST_US = 86_400 * 1_000_000
# Redis has had streams since 2017. A producer chose any earlier ID, so it is not a write time.
_FIRST_WRITTEN_MS = 1_483_228_800_000


def is_ahead_of_stream(occurred_us: int, entry_id: EntryId) -> bool:
    """Return whether the producer's time is more than a day after the write time in the entry ID.

    Return False if a producer chose the ID, so that it is not a write time.
    """
    return entry_id.ms >= _FIRST_WRITTEN_MS and occurred_us > entry_id.ms * 1000 + AHEAD_AT_MOST_US


def entry_time(entry_id: EntryId, until: datetime) -> datetime | None:
    """Return the time at which the entry was written (UTC), or None if a producer chose its ID.

    A chosen ID is one from before the first streams (2017), or after `until`.
    """
    written = entry_id.time
    return written if written and entry_id.ms >= _FIRST_WRITTEN_MS and written <= until else None


def bounded_time_us(occurred_us: int, entry_id: EntryId) -> int:
    """Return the time of the event for sums over events, in Unix microseconds.

    This is the producer's time, or the write time of the entry if the producer's time runs ahead. One wrong clock would
    otherwise move the first or last time of a sum.
    """
    if occurred_us <= entry_id.ms * 1000 or not is_ahead_of_stream(occurred_us, entry_id):
        return occurred_us
    return min(entry_id.ms, MAX_DATETIME_MS) * 1000
