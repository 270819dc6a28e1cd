"""The status of a session (ended, running or abandoned) and its times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, Literal, TypeVar

from django.conf import settings

from evdash.events.summaries import SessionSummary
from evdash.web.clocks import AGREE_WITHIN, redis_time

Value = TypeVar("Value", datetime, timedelta)


@dataclass(frozen=True, slots=True)
class ClockedValue(Generic[Value]):
    """A time or a duration. If `producer_value`, by the producers' clocks, is set, `value` is by Redis's clock."""

    value: Value
    producer_value: Value | None = None


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """A session's times as pages show them."""

    started: ClockedValue[datetime]
    last: ClockedValue[datetime]
    length: ClockedValue[timedelta]


def session_times(summary: SessionSummary, now: datetime | None = None) -> SessionTimes:
    """Return the session's start, last event and length.

    Redis's clock is used if its time is known and differs from the producers' by more than AGREE_WITHIN. It is a
    single clock, so its start and end are in order, and it decides whether the session runs.
    """
    first, last = (redis_time(entry_id, now) for entry_id in (summary.first_id, summary.last_id))
    return SessionTimes(
        started=_clocked(summary.started_at, first),
        last=_clocked(summary.last_at, last),
        length=_clocked(summary.duration, last - first if first and last else None),
    )


def _clocked(producer_value: Value, redis_value: Value | None) -> ClockedValue[Value]:
    if redis_value is None or abs(redis_value - producer_value) <= AGREE_WITHIN:
        return ClockedValue(producer_value)
    return ClockedValue(redis_value, producer_value)


Status = Literal["ended", "running", "abandoned"]


def outcome_text(summary: SessionSummary) -> str:
    """Return the outcome that the producer gave to an ended session; "ended" without one.

    An outcome that reads like a status of evdash gets "ended: " in front.
    """
    outcome = summary.outcome or "ended"
    return f"ended: {outcome}" if outcome.strip().lower() in ("running", "abandoned") else outcome


def session_status(summary: SessionSummary, now: datetime | None = None) -> Status:
    """Return the session's status, by the time of its last event that pages show.

    A session without an end is abandoned once that time is more than the setting `abandoned_after_min` ago.
    """
    if summary.ended:
        return "ended"
    now = now or datetime.now(UTC)
    limit = timedelta(minutes=settings.EVDASH.abandoned_after_min)
    return "abandoned" if now - session_times(summary, now).last.value > limit else "running"
