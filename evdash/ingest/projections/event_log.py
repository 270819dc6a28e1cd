"""The audit projection: it writes the event log and the read models of sessions, users and counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from evdash.eventlog.bulk import entry_ids_among, insert, upsert
from evdash.eventlog.decoders import add_rows, decoder_number, note_all_rows
from evdash.eventlog.group_progress import stream_numbers
from evdash.eventlog.models import GroupPosition, LoggedEvent
from evdash.eventlog.row_mapping import EVENT_COLUMNS, event_values
from evdash.eventlog.stream_deltas import changes_of, counted_in_log
from evdash.events.deduplication import CountChange, Counted
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.ingest import read_models
from evdash.ingest.inheriting import add_calls, inherit_in_log, with_inherited
from evdash.ingest.projections.base import Positions, Projection


class AuditProjection(Projection):
    """The projection of the event log. The log itself records the applied entries: each entry is one row."""

    name = "audit"
    fills_log = True

    def _applied(self, entry_ids: Sequence[EntryId], position: GroupPosition) -> Iterable[EntryId]:
        return entry_ids_among(LoggedEvent, "stream_id", position.stream_id, entry_ids)

    def _counted(self, identities: Collection[bytes], positions: Positions) -> Mapping[bytes, Counted]:
        return counted_in_log(identities, [position.stream_id for position in positions.values()])

    def _changes(self, events: Sequence[Event], positions: Positions) -> list[CountChange]:
        numbers = {stream: position.stream_id for stream, position in positions.items()}
        return with_inherited(super()._changes(events, positions), numbers)

    def _record(self, changed: Sequence[CountChange], positions: Positions) -> None:
        new = [change for change in changed if change.is_new]
        decoder = decoder_number()
        insert(
            LoggedEvent,
            EVENT_COLUMNS,
            [event_values(change, positions[change.event.stream].stream_id, decoder) for change in new],
        )
        add_rows(decoder, len(new))
        for change in changed:
            if not change.is_new:
                number = positions[change.event.stream].stream_id
                row = LoggedEvent.objects.filter(stream_id=number, entry_id=change.event.entry_id)
                row.update(is_duplicate=change.is_duplicate)

    def _add(self, changed: Sequence[CountChange], numbers: Mapping[str, int]) -> None:
        read_models.add_to_sessions(changed)
        read_models.add_to_users(changed)
        read_models.add_to_type_counts(changed, numbers)

    def _applied_between(self, position: GroupPosition, after: EntryId, through: EntryId) -> int:
        rows = LoggedEvent.objects.filter(stream_id=position.stream_id, entry_id__gt=after, entry_id__lte=through)
        return rows.count()

    def _applied_from_to(self, position: GroupPosition, first: EntryId, last: EntryId) -> Iterable[EntryId]:
        rows = LoggedEvent.objects.filter(stream_id=position.stream_id, entry_id__gte=first, entry_id__lte=last)
        return rows.values_list("entry_id", flat=True).iterator()

    def _first_applied(self, position: GroupPosition) -> EntryId | None:
        rows = LoggedEvent.objects.filter(stream_id=position.stream_id).order_by("entry_id")
        return rows.values_list("entry_id", flat=True).first()

    def refill(self, batches: Iterable[Sequence[Event]]) -> int:
        """Decode every row of the log again from its raw pairs, and rebuild the read models; return the row count."""
        self._clear()
        LoggedEvent.objects.update(identity=None, is_duplicate=False)
        decoder = decoder_number()
        count = 0
        for events in batches:
            numbers = stream_numbers({event.stream for event in events})
            changed = changes_of(events, partial(counted_in_log, stream_ids=numbers.values()))
            rows = [event_values(change, numbers[change.event.stream], decoder) for change in changed if change.is_new]
            upsert(LoggedEvent, EVENT_COLUMNS, rows, key=("entry_id", "stream_id"))
            self._add_own(changed, numbers)
            count += len(events)
        self._add_inherited()
        note_all_rows(decoder)
        return count

    def refill_read_models(self, batches: Iterable[Sequence[CountChange]]) -> int:
        """Rebuild the read models from these changes, in the caller's transaction; return the number of events.

        The batches contain each row of the log once. The log itself is unchanged.
        """
        self._clear()
        count = 0
        for changed in batches:
            self._add_own(changed, stream_numbers({change.event.stream for change in changed}))
            count += len(changed)
        self._add_inherited()
        return count

    def _add_own(self, changed: Sequence[CountChange], numbers: Mapping[str, int]) -> None:
        """Add what depends on the events alone."""
        read_models.add_to_sessions(changed)
        read_models.add_to_type_counts(changed, numbers)
        add_calls((change.event for change in changed if change.is_new), numbers)

    def _add_inherited(self) -> None:
        """Update what the rows of the log inherit, and fill what depends on it. The sessions must be complete."""
        for changed in inherit_in_log():
            read_models.add_to_users(changed)

    def _clear(self) -> None:
        read_models.clear()
