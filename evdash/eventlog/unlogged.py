"""The events of the streams that the tables do not have yet, and which of all events are duplicates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from evdash.eventlog.models import AppliedEntry, GroupPosition, LoggedEvent
from evdash.eventlog.records import Position
from evdash.events.duplicates import Change, Counted, changes, identity
from evdash.events.entry_id import EntryId
from evdash.events.event import Event


def unlogged_changes(events: Sequence[Event], numbers: Mapping[str, int]) -> list[Change]:
    """What those of these events that the log does not have change of what it says."""
    if not events:
        return []
    oldest = min(event.entry_id for event in events)
    logged = set(LoggedEvent.objects.filter(entry_id__gte=oldest).values_list("stream_id", "entry_id"))
    new = [event for event in events if (numbers[event.stream], event.entry_id) not in logged]
    return changes_of(new, counted_in_log)


def unapplied_changes(events: Sequence[Event], group: str, numbers: Mapping[str, int]) -> list[Change]:
    """What those of these events that the group's projection has not applied change of its tables."""
    if not events:
        return []
    positions = {number: pk for pk, number in GroupPosition.objects.filter(group=group).values_list("pk", "stream_id")}
    oldest = min(event.entry_id for event in events)
    rows = AppliedEntry.objects.filter(position_id__in=positions.values(), entry_id__gte=oldest)
    applied = set(rows.values_list("position_id", "entry_id"))
    new = [event for event in events if (positions.get(numbers[event.stream], -1), event.entry_id) not in applied]

    def counted(identities: Collection[bytes]) -> Mapping[bytes, Counted]:
        rows = AppliedEntry.objects.filter(identity__in=identities, position_id__in=positions.values())
        return first_of_each(rows.values_list("identity", "entry_id", "occurred_us"))

    return changes_of(new, counted)


def changes_of(
    events: Sequence[Event], counted: Callable[[Collection[bytes]], Mapping[bytes, Counted]]
) -> list[Change]:
    """What these new events change, with what is `counted` of their identities so far."""
    identities = [identity(event) for event in events]
    return changes(events, counted({key for key in identities if key}), identities)


def counted_in_log(identities: Collection[bytes]) -> Mapping[bytes, Counted]:
    """The entries that the log counts, of these identities."""
    rows = LoggedEvent.objects.filter(identity__in=identities, is_duplicate=False)
    return first_of_each(rows.values_list("identity", "entry_id", "occurred_us"))


def first_of_each(rows: Iterable[tuple[bytes | memoryview | None, EntryId, int]]) -> Mapping[bytes, Counted]:
    """By identity the row of the lowest entry ID, which is the one that counts."""
    first: dict[bytes, Counted] = {}
    for raw, entry_id, occurred_us in rows:
        key = bytes(raw or b"")
        before = first.get(key)
        if before is None or entry_id < before.entry_id:
            first[key] = Counted(entry_id, occurred_us)
    return first


def first_alike(event: Event) -> EntryId | None:
    """The entry of the log that this one is a duplicate of; None when it is none."""
    key = identity(event)
    counted = counted_in_log({key}).get(key) if key else None
    return counted.entry_id if counted and counted.entry_id < event.entry_id else None


def duplicates_among(events: Sequence[Event]) -> frozenset[Position]:
    """Those of these events of which an earlier one is in the log or among them.

    One whose first is past the log and on another page is known to the counts, and marked when the log has both.
    """
    keyed = [(key, event) for event in events if (key := identity(event))]
    first = {key: counted.entry_id for key, counted in counted_in_log({key for key, _ in keyed}).items()}
    for key, event in keyed:
        first[key] = min(event.entry_id, first.get(key, event.entry_id))
    return frozenset(Position.of(event) for key, event in keyed if event.entry_id > first[key])
