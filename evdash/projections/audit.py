"""The audit projection: events into the event log, and the read models of sessions, users and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import transaction

from evdash.eventlog.models import LoggedEvent
from evdash.eventlog.positions import lock_group, stream_numbers
from evdash.eventlog.rows import row_of_event
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.projections import read_models


class AuditProjection:
    """Carries events into the event log once each, whatever is delivered how often and in what order."""

    def __init__(self, group: str) -> None:
        self.group = group

    def apply(self, events: Sequence[Event]) -> int:
        """Commit these events, and what follows from them, in one transaction; returns how many were new."""
        with transaction.atomic():
            lock_group(self.group)
            numbers = stream_numbers({event.stream for event in events})
            new = _not_yet_logged(events, numbers)
            if new:
                LoggedEvent.objects.bulk_create([row_of_event(event, numbers[event.stream]) for event in new])
                read_models.add_to_sessions(new)
                read_models.add_to_users(new)
                read_models.add_to_type_counts(new, numbers)
        return len(new)


def _not_yet_logged(events: Sequence[Event], numbers: Mapping[str, int]) -> list[Event]:
    by_key: dict[tuple[str, EntryId], Event] = {(event.stream, event.entry_id): event for event in events}
    for stream, number in numbers.items():
        ids = [entry_id for name, entry_id in by_key if name == stream]
        logged = LoggedEvent.objects.filter(stream_id=number, entry_id__in=ids).values_list("entry_id", flat=True)
        for entry_id in logged:
            del by_key[stream, entry_id]
    return list(by_key.values())
