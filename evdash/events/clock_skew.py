"""Producers' clocks that are wrong: a time after the entry was written cannot be that of what happened."""

from __future__ import annotations

from datetime import datetime

from evdash.events.entry import MAX_DATETIME_MS, EntryId

# Zones and bad clocks are hours apart; a day is more than either.
AHEAD_AT_MOST_US = 86_400 * 1_000_000
# Redis has had streams since 2017: an earlier ID is a number that somebody chose, and no time of writing.
_FIRST_WRITTEN_MS = 1_483_228_800_000


def is_ahead_of_stream(occurred_us: int, entry_id: EntryId) -> bool:
    """Whether the producer's time is more than a day after the entry was written, as far as its ID tells that."""
    return entry_id.ms >= _FIRST_WRITTEN_MS and occurred_us > entry_id.ms * 1000 + AHEAD_AT_MOST_US


def entry_time(entry_id: EntryId, until: datetime) -> datetime | None:
    """When the entry was written (UTC), or None where its ID is a number that somebody chose: before there were
    streams, or after `until`."""
    written = entry_id.time
    return written if written and entry_id.ms >= _FIRST_WRITTEN_MS and written <= until else None


def bounded_time_us(occurred_us: int, entry_id: EntryId) -> int:
    """When it happened for sums over events, whose ends one wrong clock would carry off: Unix microseconds.

    The producer's time, or where that runs ahead the time at which the entry was written.
    """
    return min(entry_id.ms, MAX_DATETIME_MS) * 1000 if is_ahead_of_stream(occurred_us, entry_id) else occurred_us
