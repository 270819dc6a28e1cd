"""The audit projection: events into the event log, and the read models of sessions, users and counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from evdash.eventlog.gaps import close_gap, record_gap, record_missing
from evdash.eventlog.models import Gap, GroupPosition, LoggedEvent
from evdash.eventlog.positions import stream_numbers
from evdash.eventlog.rows import row_of_event
from evdash.eventlog.unlogged import counted_in_log
from evdash.events.duplicates import Change, Counted
from evdash.events.entry_id import EntryId
from evdash.projections import read_models
from evdash.projections.projection import Positions, Projection


class AuditProjection(Projection):
    """The event log itself says what was applied: an entry is one row of it."""

    name = "audit"

    def _applied(self, entry_ids: Sequence[EntryId], position: GroupPosition) -> Iterable[EntryId]:
        rows = LoggedEvent.objects.filter(stream_id=position.stream_id, entry_id__in=entry_ids)
        return rows.values_list("entry_id", flat=True)

    def _counted(self, identities: Collection[bytes], positions: Positions) -> Mapping[bytes, Counted]:
        return counted_in_log(identities)

    def _record(self, changed: Sequence[Change], positions: Positions) -> None:
        new = [change for change in changed if change.is_new]
        LoggedEvent.objects.bulk_create(
            row_of_event(change.event, positions[change.event.stream].stream_id, is_duplicate=change.is_duplicate)
            for change in new
        )
        for change in changed:
            if not change.is_new:
                number = positions[change.event.stream].stream_id
                row = LoggedEvent.objects.filter(stream_id=number, entry_id=change.event.entry_id)
                row.update(is_duplicate=change.is_duplicate)

    def _add(self, changed: Sequence[Change]) -> None:
        read_models.add_to_sessions(changed)
        read_models.add_to_users(changed)
        read_models.add_to_type_counts(changed, stream_numbers({change.event.stream for change in changed}))

    def note_removed(self, stream: str, entry_ids: Sequence[EntryId]) -> int:
        return record_missing(stream, Gap.Kind.REMOVED, entry_ids)

    def note_parked(self, stream: str, entry_id: EntryId, reason: str) -> None:
        super().note_parked(stream, entry_id, reason)
        record_gap(stream, Gap.Kind.PARKED, entry_id, entry_id, 1, reason)

    def note_redelivered(self, stream: str, entry_id: EntryId) -> None:
        for kind in (Gap.Kind.PARKED, Gap.Kind.ACKNOWLEDGED):
            close_gap(stream, kind, entry_id)

    def _clear(self) -> None:
        read_models.clear()
