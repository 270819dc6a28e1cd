"""The status of a session (ended, running or abandoned), its outcome as success or failure, and its times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, Literal, TypeVar

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
    duration: ClockedValue[timedelta]


def session_times(summary: SessionSummary, now: datetime | None = None) -> SessionTimes:
    """Return the session's start, last event and duration.

    Redis's clock is used if its time is known and differs from the producers' by more than AGREE_WITHIN. It is a
    single clock, so its start and end are in order, and it decides whether the session runs.
    """
    first, last = (redis_time(entry_id, now) for entry_id in (summary.first_id, summary.last_id))
    return SessionTimes(
        started=_clocked(summary.started_at, first),
        last=_clocked(summary.last_at, last),
        duration=_clocked(summary.duration, last - first if first and last else None),
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


SUCCEEDED: Final = frozenset(
    {"success", "successful", "succeeded", "ok", "passed", "resolved", "solved", "complete", "completed", "done"}
)
FAILED: Final = frozenset(
    {"failure", "fail", "failed", "error", "errored", "unsuccessful", "unresolved", "unsolved"}
    | {"crash", "crashed", "timeout", "timed out"}
)
"""The outcomes of producers that mean success and failure, in lower case. docs/pages.md lists them."""
ABANDONED: Final = frozenset({"abandoned"})

OutcomeClass = Literal["succeeded", "failed", "abandoned", "other"]


def outcome_class(outcome: str) -> OutcomeClass:
    """Return what a producer's outcome means; "other" for an unknown text.

    Upper and lower case are equal, and so are `_`, `-` and a space. The text up to the first `:`, `;`, `,` or `(`
    counts.
    """
    word = " ".join(re.split(r"[:;,(]", outcome, maxsplit=1)[0].lower().replace("_", " ").replace("-", " ").split())
    if word in SUCCEEDED:
        return "succeeded"
    if word in FAILED:
        return "failed"
    return "abandoned" if word in ABANDONED else "other"


@dataclass(frozen=True, slots=True)
class StatusPill:
    """The context of templates/parts/_status_pill.html. `kind` selects the colour."""

    kind: Literal["running", "succeeded", "failed", "abandoned", "other"]
    text: str
    title: str


def status_pill(summary: SessionSummary, now: datetime | None = None) -> StatusPill:
    """Return the status of a session with its colour. The text of an ended session is the producer's outcome."""
    status = session_status(summary, now)
    if status == "ended":
        title = "Outcome from the producer" if summary.outcome else "Ended without an outcome"
        return StatusPill(outcome_class(summary.outcome), outcome_text(summary), title)
    if status == "running":
        return StatusPill("running", status, "No end so far")
    return StatusPill("abandoned", status, f"No event for {settings.EVDASH.abandoned_after_min} min, and no end")
