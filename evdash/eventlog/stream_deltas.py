"""The effect of stream events that the tables do not contain yet, and the detection of duplicates."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from weakref import WeakKeyDictionary

from django.db import connection

from evdash.eventlog.models import AppliedEntry, GroupPosition, LoggedEvent
from evdash.eventlog.records import Position
from evdash.events.deduplication import CountChange, Counted, changes, identity
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.filters.keys import Condition
from evdash.events.summaries import SessionSummary, UserSummary, added_to_sessions, added_to_users
from evdash.streams.shared_tail import Held, SharedTail, TailReading, key_of

_PARAMETERS_MAX: Final = 5_000
# Statements of every batch, as SQL text: the ORM took longer to build them than the database took to run them.
_IN_LOG: Final = """
    SELECT identity, entry_id, occurred_us FROM eventlog_loggedevent
    WHERE identity IN ({identities}) AND NOT is_duplicate
"""
_OF_POSITIONS: Final = """
    SELECT identity, entry_id, occurred_us FROM eventlog_appliedentry
    WHERE identity IN ({identities}) AND position_id IN ({positions})
"""


@dataclass(frozen=True, slots=True)
class StreamDeltas:
    """The changes that uncommitted events, missing in a group's tables, make to the content of these tables."""

    reading: TailReading
    group: str
    sessions: Mapping[str, SessionSummary] = field(default_factory=dict)  # their additions to sessions
    users: Mapping[str, UserSummary] = field(default_factory=dict)  # `sessions` of each left at 0
    taken_back: tuple[CountChange, ...] = ()  # changes of -1: events of the tables that are duplicates of these
    _by_number: Mapping[int, CountChange] = field(default_factory=dict)
    _alike: Mapping[bytes, tuple[int, ...]] = field(default_factory=dict)  # by identity, the numbers that have it
    _logged: Mapping[int, bytes | None] = field(default_factory=dict)  # past the watermark, but already in the tables

    @property
    def entries(self) -> int:
        """The number of entries read from the streams that the tables lack."""
        return len(self._by_number)

    @property
    def changes(self) -> list[CountChange]:
        """All changes."""
        return [*self._by_number.values(), *self.taken_back]

    def ends(self) -> list[Event]:
        """Return the first and the last event of each stream that the tables lack or have just gained."""
        parts = [each.after(each.watermarks[self.group]) for each in self.reading.slices.values()]
        return [held.event for part in parts if part for held in (part[0], part[-1])]

    def arrived_between(self, first_id: EntryId, last_id: EntryId) -> int:
        """Return how many entries from `first_id` through `last_id` the tables lack."""
        parts = (
            each.after(max(first_id.previous(), each.watermarks[self.group])) for each in self.reading.slices.values()
        )
        return sum(
            held.number in self._by_number for part in parts for held in part[: bisect_right(part, last_id, key=_place)]
        )

    def found(self, driver: Condition | None) -> list[CountChange]:
        """Return the changes that can match the condition, which the tail must index; all of them for None."""
        if driver is None:
            return self.changes
        held = self.reading.found(key_of(driver), self.group)
        return [*(self._by_number[each.number] for each in held if each.number in self._by_number), *self.taken_back]

    def of_session(self, session_id: str) -> list[CountChange]:
        """Return the changes of one session."""
        found = self.found(Condition("session", session_id))
        return [change for change in found if change.event.session_id == session_id]

    def of_user(self, user_id: str) -> list[CountChange]:
        """Return the changes of one user."""
        found = self.found(Condition("user", user_id))
        return [change for change in found if change.event.user_id == user_id]

    def of_errors(self) -> list[CountChange]:
        """Return the changes of error events."""
        return [change for change in self.found(Condition("is", "error")) if change.event.is_error]


@dataclass(frozen=True, slots=True)
class _Tables:
    """The access to a group's tables: which entries and identities they contain."""

    has: Callable[[int, EntryId, EntryId], list[EntryId]]  # a stream's number and an ID range -> entries in the tables
    counted: Callable[[Collection[bytes]], Mapping[bytes, Counted]]
    with_summaries: bool


class _Kept:
    """The last result for one tail and group. The next one differs from it by added and removed entries."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.answer: StreamDeltas | None = None


_kept: WeakKeyDictionary[SharedTail, dict[str, _Kept]] = WeakKeyDictionary()
_kept_lock = threading.Lock()


def pending_deltas(tail: SharedTail, reading: TailReading, group: str, numbers: Mapping[str, int]) -> StreamDeltas:
    """Return the changes of the events that the log lacks.

    Call inside the read transaction, after reading the stream. An event committed in between is in the log, and is
    therefore counted exactly once.
    """

    def has(stream_id: int, oldest: EntryId, newest: EntryId) -> list[EntryId]:
        rows = LoggedEvent.objects.filter(stream_id=stream_id, entry_id__gte=oldest, entry_id__lte=newest)
        return list(rows.values_list("entry_id", flat=True))

    return _unlogged(tail, reading, group, numbers, _Tables(has, counted_in_log, with_summaries=True))


def unapplied_deltas(tail: SharedTail, reading: TailReading, group: str, numbers: Mapping[str, int]) -> StreamDeltas:
    """Return the changes of events that the group's projection has not applied, without sessions and users."""
    positions = dict(GroupPosition.objects.filter(group=group).values_list("stream_id", "pk"))

    def has(stream_id: int, oldest: EntryId, newest: EntryId) -> list[EntryId]:
        position = positions.get(stream_id)
        rows = AppliedEntry.objects.filter(position_id=position, entry_id__gte=oldest, entry_id__lte=newest)
        return list(rows.values_list("entry_id", flat=True))

    def counted(identities: Collection[bytes]) -> Mapping[bytes, Counted]:
        return counted_of_positions(positions.values(), identities)

    return _unlogged(tail, reading, group, numbers, _Tables(has, counted, with_summaries=False))


def _unlogged(
    tail: SharedTail, reading: TailReading, group: str, numbers: Mapping[str, int], tables: _Tables
) -> StreamDeltas:
    held = reading.uncommitted(group)
    logged: dict[int, bytes | None] = {}
    for stream, each in reading.slices.items():
        if uncommitted := each.after(each.watermarks[group]):
            for entry_id in tables.has(numbers[stream], uncommitted[0].entry_id, uncommitted[-1].entry_id):
                if (known := each.held(entry_id)) and known.number in held:
                    logged[known.number] = known.identity
    if logged:
        held = {number: each for number, each in held.items() if number not in logged}
    with _kept_lock:
        kept = _kept.setdefault(tail, {}).setdefault(group, _Kept())
    with kept.lock:
        kept.answer = _changed(kept.answer or StreamDeltas(reading, group), reading, held, logged, tables)
        return kept.answer


def _changed(
    before: StreamDeltas,
    reading: TailReading,
    held: Mapping[int, Held],
    logged: Mapping[int, bytes | None],
    tables: _Tables,
) -> StreamDeltas:
    """Return the result for these events, computed from the result `before`.

    Only added and removed entries are computed, with those of the same identity, session or user.
    """
    gone = before._by_number.keys() - held.keys()
    come = held.keys() - before._by_number.keys()
    moved = logged.keys() ^ before._logged.keys()
    # If the tail does not reach down to the log's watermark, it lacks entries that the log gains. An event of the tail
    # may duplicate one of them.
    has_come_to_tail = reading.reaches(before.group) and not before.reading.reaches(before.group)
    if not (gone or come or moved or has_come_to_tail):
        return replace(before, reading=reading)
    touched = {before._by_number[number].identity for number in gone}
    touched |= {held[number].identity for number in come}
    touched |= {logged[number] if number in logged else before._logged[number] for number in moved}
    alike = _alike_now(before, gone, [held[number] for number in come])
    if has_come_to_tail:
        touched |= _in_parts(tables.counted, alike.keys()).keys()
    again = come | {number for key in touched if key for number in alike.get(key, ())}
    worked_out = [held[number] for number in sorted(again)]
    identities = [each.identity for each in worked_out]
    counted = _in_parts(tables.counted, {key for key in identities if key})
    found = changes([each.event for each in worked_out], counted, identities)
    number_of = {id(each.event): each.number for each in worked_out}
    stale = [before._by_number[number] for number in gone | (again - come)]
    stale += [change for change in before.taken_back if change.identity in touched]
    by_number = {number: change for number, change in before._by_number.items() if number not in gone}
    by_number |= {number_of[id(change.event)]: change for change in found if change.is_new}
    taken_back = (
        *(change for change in before.taken_back if change.identity not in touched),
        *(change for change in found if not change.is_new),
    )
    answer = StreamDeltas(reading, before.group, {}, {}, taken_back, by_number, alike, logged)
    if not tables.with_summaries:
        return answer
    session_ids = {change.event.session_id for change in stale}
    user_ids = {change.event.user_id for change in stale}
    sessions = added_to_sessions(
        {key: summary for key, summary in before.sessions.items() if key not in session_ids},
        [change for change in found if change.event.session_id not in session_ids],
    )
    users = added_to_users(
        {key: summary for key, summary in before.users.items() if key not in user_ids},
        [change for change in found if change.event.user_id not in user_ids],
    )
    return replace(
        answer,
        sessions=added_to_sessions(sessions, [each for key in session_ids if key for each in answer.of_session(key)]),
        users=added_to_users(users, [each for key in user_ids if key for each in answer.of_user(key)]),
    )


def _alike_now(before: StreamDeltas, gone: Collection[int], come: Iterable[Held]) -> dict[bytes, tuple[int, ...]]:
    """Return the numbers of the tail's events by identity, without removed events and with added ones."""
    alike = dict(before._alike)
    for number in gone:
        key = before._by_number[number].identity
        if key is None:
            continue
        if rest := tuple(each for each in alike.pop(key) if each != number):
            alike[key] = rest
    for held in come:
        if held.identity:
            alike[held.identity] = (*alike.get(held.identity, ()), held.number)
    return alike


def _in_parts(
    counted: Callable[[Collection[bytes]], Mapping[bytes, Counted]], identities: Collection[bytes]
) -> dict[bytes, Counted]:
    every = list(identities)
    found: dict[bytes, Counted] = {}
    for start in range(0, len(every), _PARAMETERS_MAX):
        found |= counted(every[start : start + _PARAMETERS_MAX])
    return found


def changes_of(
    events: Sequence[Event], counted: Callable[[Collection[bytes]], Mapping[bytes, Counted]]
) -> list[CountChange]:
    """Return the changes of these new events; `counted` returns the entries of their identities counted so far."""
    identities = [identity(event) for event in events]
    return changes(events, counted({key for key in identities if key}), identities)


def counted_in_log(identities: Collection[bytes]) -> Mapping[bytes, Counted]:
    """Return, by identity, the entries of these identities that the log counts."""
    return _first_of_each(_IN_LOG, [], identities)


def counted_of_positions(positions: Collection[int], identities: Collection[bytes]) -> Mapping[bytes, Counted]:
    """Return, by identity, the entries of these identities that a projection counts; `positions`: those of its group.

    Projections record the identities of events that have an effect on their tables.
    """
    return _first_of_each(_OF_POSITIONS, list(positions), identities) if positions else {}


def _first_of_each(statement: str, positions: list[int], identities: Collection[bytes]) -> Mapping[bytes, Counted]:
    """Return, by identity, the row with the lowest entry ID, which is the one that counts."""
    if not identities:
        return {}
    first: dict[bytes, Counted] = {}
    filled = statement.format(identities=_holders(identities), positions=_holders(positions))
    with connection.cursor() as cursor:
        cursor.execute(filled, [*identities, *positions])
        for key, packed, occurred_us in cursor.fetchall():
            entry_id = EntryId.from_bytes(packed)
            before = first.get(key)
            if before is None or entry_id < before.entry_id:
                first[key] = Counted(entry_id, occurred_us)
    return first


def _holders(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))


def original_of_duplicate(event: Event) -> EntryId | None:
    """Return the log entry that this event duplicates; None if it is not a duplicate."""
    key = identity(event)
    counted = counted_in_log({key}).get(key) if key else None
    return counted.entry_id if counted and counted.entry_id < event.entry_id else None


def duplicates_among(events: Sequence[Event]) -> frozenset[Position]:
    """Return the positions of duplicates: events with an earlier equal entry in the log or among these events.

    If the earlier entry is past the log and on another page, only the counts detect the duplicate. Pages mark it once
    the log has both.
    """
    keyed = [(key, event) for event in events if (key := identity(event))]
    first = {key: counted.entry_id for key, counted in counted_in_log({key for key, _ in keyed}).items()}
    for key, event in keyed:
        first[key] = min(event.entry_id, first.get(key, event.entry_id))
    return frozenset(Position.of(event) for key, event in keyed if event.entry_id > first[key])


def _place(held: Held) -> EntryId:
    return held.entry_id
