"""A session in outline: how many events when, without reading any of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from django.db.models import Count, F, Q, QuerySet
from django.db.models.fields import BigIntegerField
from django.db.models.functions import Cast, Floor

from evdash.eventlog.models import LoggedEvent
from evdash.eventlog.records import OutlineSlot
from evdash.eventlog.unlogged import Unlogged
from evdash.events.duplicates import Change
from evdash.events.summaries import SessionSummary

# Finer than any screen shows, so that idle stretches can be told from busy ones.
SLOTS: Final = 1_000


def session_outline(unlogged: Unlogged, summary: SessionSummary) -> tuple[OutlineSlot, ...]:
    """The session's time in at most SLOTS equal slots, those without events left out, in the order of time."""
    return outline_of(unlogged.of_session(summary.session_id), summary, _logged(summary, _width_us(summary)))


def outline_of(
    changes: Iterable[Change], summary: SessionSummary, counted: Mapping[int, tuple[int, int]] | None = None
) -> tuple[OutlineSlot, ...]:
    """The same of these changes, and of what is `counted` already: by the slot's number its events and errors."""
    width_us = _width_us(summary)
    found = dict(counted or {})
    for change in changes:
        event = change.event
        if event.session_id != summary.session_id:
            continue
        index = (event.occurred_us - summary.started_us) // width_us
        events, errors = found.get(index, (0, 0))
        found[index] = (events + change.counts, errors + change.counts * event.is_error)
    return tuple(
        OutlineSlot(summary.started_us + index * width_us, width_us, events, errors)
        for index, (events, errors) in sorted(found.items())
        if events > 0
    )


def _width_us(summary: SessionSummary) -> int:
    return max(1, -(-(summary.last_us - summary.started_us + 1) // SLOTS))


def _logged(summary: SessionSummary, width_us: int) -> dict[int, tuple[int, int]]:
    rows: QuerySet[LoggedEvent] = LoggedEvent.objects.filter(session_id=summary.session_id, is_duplicate=False)
    slot = Cast(Floor((F("occurred_us") - summary.started_us) * 1.0 / width_us), BigIntegerField())
    told = rows.annotate(slot=slot).values_list("slot").order_by()
    counted = told.annotate(events=Count("pk"), errors=Count("pk", filter=Q(is_error=True)))
    return {index: (events, errors) for index, events, errors in counted}
