"""Whether a session has ended, runs, or was left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from django.conf import settings

from evdash.events.summaries import SessionSummary

Status = Literal["ended", "running", "abandoned"]


def session_status(summary: SessionSummary, now: datetime | None = None) -> Status:
    """By the time in its last entry's ID: producers' clocks may be off."""
    if summary.ended:
        return "ended"
    last = summary.last_id.time or summary.last_at
    limit = timedelta(minutes=settings.EVDASH.abandoned_after_min)
    return "abandoned" if (now or datetime.now(UTC)) - last > limit else "running"
