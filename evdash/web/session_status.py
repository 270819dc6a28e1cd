"""Whether a session has ended, runs, or was left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from django.conf import settings

from evdash.events.summaries import SessionSummary
from evdash.web.session_times import session_times

Status = Literal["ended", "running", "abandoned"]


def session_status(summary: SessionSummary, now: datetime | None = None) -> Status:
    """By the time of its last event that pages tell."""
    if summary.ended:
        return "ended"
    now = now or datetime.now(UTC)
    limit = timedelta(minutes=settings.EVDASH.abandoned_after_min)
    return "abandoned" if now - session_times(summary, now).last.value > limit else "running"
