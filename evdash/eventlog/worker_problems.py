"""The reasons for which workers cannot work, in SQL: web processes read them, also if Redis refuses the workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from evdash.eventlog.models import WorkerProblem

STALE_S: Final = 60
"""A worker notes its problem again at each attempt, at the latest after 15 s. One that does not has ended."""
_KEPT: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason for which a worker cannot read now."""

    group: str
    consumer: str
    stream: str  # "": all streams of the worker
    code: str  # of the error reply, such as NOPERM; "" without a reply
    cause: str
    since: datetime


def note_problem(group: str, consumer: str, stream: str, code: str, cause: str) -> None:
    """Record that the worker cannot read this stream ("" for all), or still cannot. Raises a database's error."""
    now = timezone.now()
    row = WorkerProblem.objects.filter(group=group, consumer=consumer, stream=stream).first()
    if row is None:
        WorkerProblem.objects.filter(noted_at__lt=now - _KEPT).delete()
        row = WorkerProblem(group=group, consumer=consumer, stream=stream, since=now)
    elif row.code != code or row.noted_at < now - timedelta(seconds=STALE_S):
        row.since = now
    row.code, row.cause, row.noted_at = code, cause, now
    row.save()


def clear_problem(group: str, consumer: str, stream: str) -> None:
    """Record that the worker reads this stream ("" for all) again. Raises a database's error."""
    WorkerProblem.objects.filter(group=group, consumer=consumer, stream=stream).delete()


def present_problems() -> list[Problem]:
    """Return the problems that workers have noted within STALE_S, by group and consumer."""
    rows = WorkerProblem.objects.filter(noted_at__gte=timezone.now() - timedelta(seconds=STALE_S))
    return [
        Problem(row.group, row.consumer, row.stream, row.code, row.cause, row.since)
        for row in rows.order_by("group", "consumer", "stream")
    ]
