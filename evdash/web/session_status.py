"""Whether a session has ended, runs, or was left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, Literal, TypeVar

from django.conf import settings

from evdash.events.clock_skew import entry_time
from evdash.events.summaries import SessionSummary

# The clocks of two machines that are kept right are closer to each other, and an event is written soon.
AGREE_WITHIN: Final = timedelta(minutes=1)

Value = TypeVar("Value", datetime, timedelta)


@dataclass(frozen=True, slots=True)
class ClockedValue(Generic[Value]):
    """A time or a length. With `said`, what the producers' clocks say, it is by Redis's clock."""

    value: Value
    said: Value | None = None


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """What a page tells of a session's time."""

    started: ClockedValue[datetime]
    last: ClockedValue[datetime]
    length: ClockedValue[timedelta]


def session_times(summary: SessionSummary, now: datetime | None = None) -> SessionTimes:
    """The session's ends and its length. Redis's clock counts where both are known and differ: it is one clock, so
    that ends by it are in order, and it tells whether the session runs."""
    latest = (now or datetime.now(UTC)) + AGREE_WITHIN
    first, last = (entry_time(entry_id, latest) for entry_id in (summary.first_id, summary.last_id))
    return SessionTimes(
        started=_clocked(summary.started_at, first),
        last=_clocked(summary.last_at, last),
        length=_clocked(summary.duration, last - first if first and last else None),
    )


def _clocked(said: Value, by_redis: Value | None) -> ClockedValue[Value]:
    if by_redis is None or abs(by_redis - said) <= AGREE_WITHIN:
        return ClockedValue(said)
    return ClockedValue(by_redis, said)


Status = Literal["ended", "running", "abandoned"]


def session_status(summary: SessionSummary, now: datetime | None = None) -> Status:
    """By the time of its last event that pages tell."""
    if summary.ended:
        return "ended"
    now = now or datetime.now(UTC)
    limit = timedelta(minutes=settings.EVDASH.abandoned_after_min)
    return "abandoned" if now - session_times(summary, now).last.value > limit else "running"
