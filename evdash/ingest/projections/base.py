"""Base classes of all projections: they apply events to tables, each entry exactly once."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar

from django.db import transaction
from django.db.models import F

from evdash.eventlog.bulk import entry_ids_among, insert
from evdash.eventlog.decoders import decoder_number, note_applied
from evdash.eventlog.gaps import close_gaps, known_missing, left_out_ids, noted_as_removed, ranges_of_gaps, record_gap
from evdash.eventlog.group_progress import lock_positions, note_batch
from evdash.eventlog.models import AppliedEntry, Gap, GroupPosition
from evdash.eventlog.stream_deltas import changes_of, counted_of_positions
from evdash.events.deduplication import CountChange, Counted
from evdash.events.entry import EntryId
from evdash.events.event import Event

Positions = Mapping[str, GroupPosition]


class Projection(ABC):
    """Applies each event exactly once, regardless of redelivery and order.

    One transaction records the applied entries and writes their effects. `apply` reads that record first.
    """

    name: ClassVar[str]
    fills_log: ClassVar[bool] = False

    def __init__(self, group: str) -> None:
        self.group = group

    def apply(self, events: Sequence[Event]) -> int:
        """Commit the events and their effects in one transaction; return how many of them were new."""
        with transaction.atomic():
            positions = lock_positions(self.group, {event.stream for event in events})
            started_ns = time.perf_counter_ns()
            new = self._new(events, positions)
            if new:
                changed = self._changes(new, positions)
                self._record(changed, positions)
                self._add(changed, _numbers(positions))
                decoder = decoder_number()
                for stream in {event.stream for event in new}:
                    note_applied(positions[stream], decoder)
                    close_gaps(positions[stream], [event.entry_id for event in new if event.stream == stream])
            self._note(new, positions, time.perf_counter_ns() - started_ns)
        return len(new)

    def applied_among(self, stream: str, entry_ids: Sequence[EntryId]) -> set[EntryId]:
        """Return those of these entries that were applied."""
        return set(self._applied(entry_ids, self._position(stream)))

    def probe(self) -> None:
        """Raise the database's error if nothing at all can be committed."""
        with transaction.atomic():
            GroupPosition.objects.filter(group=self.group).update(group=self.group)

    def not_applied(self, stream: str, entry_ids: Sequence[EntryId]) -> list[EntryId]:
        """Return the entries that were neither applied nor left out on purpose, in the given order."""
        position = self._position(stream)
        if not entry_ids:
            return []
        left_out = left_out_ids(position, min(entry_ids).previous(), max(entry_ids))
        done = set(self._applied(entry_ids, position)) | left_out
        return [entry_id for entry_id in entry_ids if entry_id not in done]

    def applied_between(self, stream: str, after: EntryId, through: EntryId) -> int:
        """Return how many entries of this range were applied or are accounted for by gaps."""
        position = self._position(stream)
        return self._applied_between(position, after, through) + known_missing(position, after, through)

    def record_removed(self, stream: str, entry_ids: Sequence[EntryId]) -> int:
        """Record that these pending entries are gone from the stream; return how many were never applied."""
        with transaction.atomic():
            position = self._position(stream)
            unapplied = self.not_applied(stream, entry_ids)
            noted = noted_as_removed(position, unapplied)
            missing = [entry_id for entry_id in unapplied if entry_id not in noted]
            if missing:
                record_gap(position, Gap.Kind.REMOVED, min(missing), max(missing), len(missing), known_ids=missing)
        return len(missing)

    def record_missing(self, stream: str, first_id: EntryId | None, last_id: EntryId, entries: int) -> None:
        """Record that this number of entries of the range is gone from the stream.

        `first_id` None: the range is everything before the first applied entry.
        """
        position = self._position(stream)
        if first_id is not None:
            record_gap(position, Gap.Kind.REMOVED, first_id, last_id, entries)
        else:
            first = self._first_applied(position)
            record_gap(position, Gap.Kind.BEFORE, EntryId(0, 1), first.previous() if first else last_id, entries)

    def record_parked(self, stream: str, entry_id: EntryId, reason: str) -> None:
        """Record that this entry is about to be dead-lettered; called again after a crash in between."""
        with transaction.atomic():
            position = lock_positions(self.group, [stream])[stream]
            if record_gap(position, Gap.Kind.PARKED, entry_id, entry_id, 1, reason):
                GroupPosition.objects.filter(pk=position.pk).update(parked=F("parked") + 1)

    def record_acknowledged(self, stream: str, entry_ids: Sequence[EntryId], reason: str) -> int:
        """Record that an operator acknowledged these entries; return how many of them were never applied."""
        with transaction.atomic():
            missing = self.not_applied(stream, entry_ids)
            for entry_id in missing:
                record_gap(self._position(stream), Gap.Kind.ACKNOWLEDGED, entry_id, entry_id, 1, reason)
        return len(missing)

    def _position(self, stream: str) -> GroupPosition:
        return lock_positions(self.group, [stream])[stream]

    def refill(self, batches: Iterable[Sequence[Event]]) -> int:
        """Empty the tables and refill them from these events, in the caller's transaction; return their number.

        The batches are in the order of entry IDs and contain each event once. Gaps are unchanged, except for entries
        that the tables have now and did not have before.
        """
        applied = self._applied_within_gaps()
        self._clear()
        count = 0
        for events in batches:
            positions = lock_positions(self.group, {event.stream for event in events})
            changed = self._changes(events, positions)
            self._record(changed, positions)
            self._add(changed, _numbers(positions))
            for stream, position in positions.items():
                ids = [event.entry_id for event in events if event.stream == stream]
                close_gaps(position, [entry_id for entry_id in ids if (position.pk, entry_id) not in applied])
            count += len(events)
        return count

    def _applied_within_gaps(self) -> set[tuple[int, EntryId]]:
        """Return the applied entries within the ranges of gaps, as (position, entry ID) pairs."""
        return {
            (position.pk, entry_id)
            for position in GroupPosition.objects.filter(group=self.group)
            for first, last in ranges_of_gaps(position)
            for entry_id in self._applied_from_to(position, first, last)
        }

    def _new(self, events: Sequence[Event], positions: Positions) -> list[Event]:
        by_key = {event.entry[:2]: event for event in events}
        for stream, position in positions.items():
            ids = [entry_id for name, entry_id in by_key if name == stream]
            for entry_id in self._applied(ids, position):
                del by_key[stream, entry_id]
        return list(by_key.values())

    def _changes(self, events: Sequence[Event], positions: Positions) -> list[CountChange]:
        """Return the changes of new events. Events without an effect need no search for duplicates."""
        with_effect, without = list[Event](), list[Event]()
        for event in events:
            (with_effect if self._has_effect(event) else without).append(event)
        changed = changes_of(with_effect, partial(self._counted, positions=positions))
        return changed + [CountChange(event) for event in without]

    def _note(self, new: Sequence[Event], positions: Positions, apply_ns: int) -> None:
        by_stream = Counter(event.stream for event in new)
        for stream, position in positions.items():
            note_batch(position, by_stream[stream], apply_ns // 1000 // len(positions), time.time())

    def _has_effect(self, event: Event) -> bool:
        """Return whether the event changes any table of this projection but the record of what was applied."""
        return True

    @abstractmethod
    def _applied(self, entry_ids: Sequence[EntryId], position: GroupPosition) -> Iterable[EntryId]:
        """Return those of these entries that were applied."""

    @abstractmethod
    def _applied_between(self, position: GroupPosition, after: EntryId, through: EntryId) -> int:
        """Return how many entries after `after`, up to and including `through`, were applied."""

    @abstractmethod
    def _applied_from_to(self, position: GroupPosition, first: EntryId, last: EntryId) -> Iterable[EntryId]:
        """Return the applied entries of this range, both ends included."""

    @abstractmethod
    def _first_applied(self, position: GroupPosition) -> EntryId | None:
        """Return the lowest applied entry; None if no entry was applied."""

    @abstractmethod
    def _counted(self, identities: Collection[bytes], positions: Positions) -> Mapping[bytes, Counted]:
        """Return the entries of these identities that are counted so far."""

    @abstractmethod
    def _record(self, changed: Sequence[CountChange], positions: Positions) -> None:
        """Record that these events were applied."""

    @abstractmethod
    def _add(self, changed: Sequence[CountChange], numbers: Mapping[str, int]) -> None:
        """Write the effects of these changes. `numbers`: the log's numbers of their streams."""

    @abstractmethod
    def _clear(self) -> None:
        """Empty the tables that are derived from the events."""


class CountingProjection(Projection):
    """A projection whose tables do not contain the entry IDs of their events: `AppliedEntry` records them."""

    def _applied(self, entry_ids: Sequence[EntryId], position: GroupPosition) -> Iterable[EntryId]:
        return entry_ids_among(AppliedEntry, "position_id", position.pk, entry_ids)

    def _applied_between(self, position: GroupPosition, after: EntryId, through: EntryId) -> int:
        return AppliedEntry.objects.filter(position=position, entry_id__gt=after, entry_id__lte=through).count()

    def _applied_from_to(self, position: GroupPosition, first: EntryId, last: EntryId) -> Iterable[EntryId]:
        rows = AppliedEntry.objects.filter(position=position, entry_id__gte=first, entry_id__lte=last)
        return rows.values_list("entry_id", flat=True).iterator()

    def _first_applied(self, position: GroupPosition) -> EntryId | None:
        rows = AppliedEntry.objects.filter(position=position).order_by("entry_id")
        return rows.values_list("entry_id", flat=True).first()

    def _counted(self, identities: Collection[bytes], positions: Positions) -> Mapping[bytes, Counted]:
        return counted_of_positions([position.pk for position in positions.values()], identities)

    def _record(self, changed: Sequence[CountChange], positions: Positions) -> None:
        rows = [
            (
                positions[change.event.stream].pk,
                change.event.entry_id.to_bytes(),
                change.identity,
                change.event.occurred_us,
            )
            for change in changed
            if change.is_new
        ]
        insert(AppliedEntry, ("position_id", "entry_id", "identity", "occurred_us"), rows)

    def _clear(self) -> None:
        AppliedEntry.objects.filter(position__group=self.group).delete()


def _numbers(positions: Positions) -> Mapping[str, int]:
    return {stream: position.stream_id for stream, position in positions.items()}
