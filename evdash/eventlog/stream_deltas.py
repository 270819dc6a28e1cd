"""The effect of stream events that the tables do not contain yet, and the detection of duplicates."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final
from weakref import WeakKeyDictionary

from django.db import connection
from django.utils.functional import cached_property

from evdash.eventlog.group_progress import all_stream_numbers
from evdash.eventlog.inheritance import NOTHING_INHERITED, Inheritance, inheritance_of
from evdash.eventlog.records import Position
from evdash.events.deduplication import CountChange, Counted, changes
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.filters.keys import Condition
from evdash.streams.shared_tail import Held, SharedTail, TailReading, key_of

_PARAMETERS_MAX: Final = 5_000
_KEPT: Final = 4
# Statements of every batch, as SQL text: the ORM took longer to build them than the database took to run them.
_IN_LOG: Final = """
    SELECT identity, entry_id, occurred_us FROM eventlog_loggedevent
    WHERE identity IN ({identities}) AND stream_id IN ({numbers}) AND NOT is_duplicate
"""
_LOGGED: Final = """
    SELECT entry_id FROM eventlog_loggedevent WHERE stream_id = %s AND entry_id >= %s AND entry_id <= %s
"""
_APPLIED: Final = """
    SELECT entry_id FROM eventlog_appliedentry WHERE position_id = %s AND entry_id >= %s AND entry_id <= %s
"""
_ONE: Final = " LIMIT 1"
_POSITIONS: Final = 'SELECT stream_id, id, batches FROM eventlog_groupposition WHERE "group" = %s'
_OF_POSITIONS: Final = """
    SELECT identity, entry_id, occurred_us FROM eventlog_appliedentry
    WHERE identity IN ({identities}) AND position_id IN ({numbers})
"""


@dataclass(frozen=True)
class StreamDeltas:
    """The changes that uncommitted events, missing in a group's tables, make to the content of these tables."""

    reading: TailReading
    group: str
    version: frozenset[tuple[int, int]] = frozenset()  # of the tables: the number of batches by position
    taken_back: tuple[CountChange, ...] = ()  # changes of -1: events of the tables that are duplicates of these
    inheritance: Inheritance = NOTHING_INHERITED  # of the log's group only: other tables have own values of events
    stream_ids: Mapping[str, int] = field(default_factory=dict)  # the log's numbers of the streams at that time
    _by_number: Mapping[int, CountChange] = field(default_factory=dict)
    _alike: Mapping[bytes, tuple[int, ...]] = field(default_factory=dict)  # by identity, the numbers that have it
    _logged: Mapping[int, bytes | None] = field(default_factory=dict)  # past the watermark, but already in the tables

    @property
    def numbers(self) -> Set[int]:
        """The tail's numbers of the events that the tables lack."""
        return self._by_number.keys()

    @property
    def entries(self) -> int:
        """The number of entries read from the streams that the tables lack."""
        return len(self._by_number)

    @cached_property
    def changes(self) -> Sequence[CountChange]:
        """All changes."""
        return [*self._by_number.values(), *self.taken_back]

    @cached_property
    def last_ids_by_session(self) -> Mapping[str, EntryId]:
        """The last entry ID of each session that has changes."""
        return _last_ids(self.changes, lambda event: event.session_id)

    @cached_property
    def last_ids_by_user(self) -> Mapping[str, EntryId]:
        """The last entry ID of each user that has changes."""
        relabelled = [CountChange(row.now) for row in self.inheritance.relabelled]
        return _last_ids([*self.changes, *relabelled], lambda event: event.user_id)

    def ends(self) -> list[Event]:
        """Return the first and the last event of each stream that the tables lack or have just gained."""
        parts = [
            slice_of_stream.after(slice_of_stream.watermarks[self.group])
            for slice_of_stream in self.reading.slices.values()
        ]
        return [held.event for part in parts if part for held in (part[0], part[-1])]

    def arrived_between(self, first_id: EntryId, last_id: EntryId) -> int:
        """Return how many entries from `first_id` through `last_id` the tables lack."""
        parts = (
            slice_of_stream.after(max(first_id.previous(), slice_of_stream.watermarks[self.group]))
            for slice_of_stream in self.reading.slices.values()
        )
        return sum(
            held.number in self._by_number for part in parts for held in part[: bisect_right(part, last_id, key=_place)]
        )

    def matching(self, driver: Condition | None) -> Sequence[CountChange]:
        """Return the changes that can match the condition, which the tail must index; all of them for None."""
        if driver is None:
            return self.changes
        held = self.with_condition(driver)
        return [*(self._by_number[each.number] for each in held if each.number in self._by_number), *self.taken_back]

    def with_condition(self, driver: Condition) -> Collection[Held]:
        """Return the uncommitted events that can match the condition, which the tail must index, in no order."""
        held = self.reading.with_key(key_of(driver), self.group)
        if driver.key == "user" and (sessions := self.inheritance.sessions_by_user.get(driver.value)):
            by_number = {each.number: each for each in held}
            for session_id in sessions:
                by_number |= {each.number: each for each in self.reading.with_key(("session", session_id), self.group)}
            return by_number.values()
        return held

    def event_of(self, held: Held) -> Event:
        """Return an event of the tail with what it inherits."""
        change = self._by_number.get(held.number)
        return change.event if change else self.inheritance.event(held.event)

    def entry_ids_of(self, stream: str, identity: bytes) -> list[EntryId]:
        """Return the uncommitted entries of this stream and identity."""
        events = (self._by_number[number].event for number in self._alike.get(identity, ()))
        return [event.entry_id for event in events if event.stream == stream]

    def of_session(self, session_id: str) -> list[CountChange]:
        """Return the changes of one session."""
        matching = self.matching(Condition("session", session_id))
        return [change for change in matching if change.event.session_id == session_id]

    def of_user(self, user_id: str) -> list[CountChange]:
        """Return the changes of one user."""
        relabelled = [
            CountChange(event, counts=0 if row.is_duplicate else counts, is_new=False)
            for row in self.inheritance.relabelled
            if row.before.user_id != row.now.user_id
            for event, counts in ((row.before, -1), (row.now, 1))
        ]
        matching = [*self.matching(Condition("user", user_id)), *relabelled]
        return [change for change in matching if change.event.user_id == user_id]

    def of_errors(self) -> list[CountChange]:
        """Return the changes of error events."""
        return [change for change in self.matching(Condition("is", "error")) if change.event.is_error]


@dataclass(frozen=True, slots=True)
class _Tables:
    """The access to a group's tables: which entries and identities they contain."""

    version: frozenset[tuple[int, int]]  # another one after each batch
    has: Callable[[int, EntryId, EntryId], set[bytes]]  # a stream's number and an ID range -> entries in the tables
    has_after: Callable[[int, EntryId], bool]  # a stream's number and an entry -> whether the tables have a later one
    counted: Callable[[Collection[bytes]], Mapping[bytes, Counted]]
    inherits: bool = False  # events in these tables have what they inherit


class _Kept:
    """The latest results for one tail and group. The next result differs from one of them by few entries."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.answers: deque[StreamDeltas] = deque(maxlen=_KEPT)


_kept: WeakKeyDictionary[SharedTail, dict[str, _Kept]] = WeakKeyDictionary()
_kept_lock = threading.Lock()


def pending_deltas(tail: SharedTail, reading: TailReading, group: str, numbers: Mapping[str, int]) -> StreamDeltas:
    """Return the changes of the events that the log lacks.

    Call inside the read transaction, after reading the stream. An event committed in between is in the log, and is
    therefore counted exactly once.
    """

    def has(stream_id: int, oldest: EntryId, newest: EntryId) -> set[bytes]:
        return _ids_between(_LOGGED, stream_id, oldest, newest)

    def has_after(stream_id: int, entry_id: EntryId) -> bool:
        return bool(_ids_between(_LOGGED + _ONE, stream_id, entry_id.next(), EntryId.MAX))

    version = frozenset((position, batches) for _, position, batches in _positions(group))
    counted = partial(counted_in_log, stream_ids=numbers.values())
    return _unlogged(tail, reading, group, numbers, _Tables(version, has, has_after, counted, inherits=True))


def unapplied_deltas(tail: SharedTail, reading: TailReading, group: str, numbers: Mapping[str, int]) -> StreamDeltas:
    """Return the changes of events that the group's projection has not applied."""
    group_positions = _positions(group)
    positions = {stream_id: position for stream_id, position, _ in group_positions}
    version = frozenset((position, batches) for _, position, batches in group_positions)

    def has(stream_id: int, oldest: EntryId, newest: EntryId) -> set[bytes]:
        position = positions.get(stream_id, -1)
        return _ids_between(_APPLIED, position, oldest, newest)

    def has_after(stream_id: int, entry_id: EntryId) -> bool:
        return bool(_ids_between(_APPLIED + _ONE, positions.get(stream_id, -1), entry_id.next(), EntryId.MAX))

    def counted(identities: Collection[bytes]) -> Mapping[bytes, Counted]:
        return counted_of_positions(positions.values(), identities)

    return _unlogged(tail, reading, group, numbers, _Tables(version, has, has_after, counted))


def _ids_between(statement: str, number: int, oldest: EntryId, newest: EntryId) -> set[bytes]:
    """Return the packed entry IDs of the rows in this range, both ends included."""
    with connection.cursor() as cursor:
        cursor.execute(statement, [number, oldest.to_bytes(), newest.to_bytes()])
        return {bytes(packed) for (packed,) in cursor.fetchall()}


def _positions(group: str) -> list[tuple[int, int, int]]:
    """Return stream number, key and number of batches of each position of the group."""
    with connection.cursor() as cursor:
        cursor.execute(_POSITIONS, [group])
        return [(stream_id, position, batches) for stream_id, position, batches in cursor.fetchall()]


def _unlogged(
    tail: SharedTail, reading: TailReading, group: str, numbers: Mapping[str, int], tables: _Tables
) -> StreamDeltas:
    with _kept_lock:
        kept = _kept.setdefault(tail, {}).setdefault(group, _Kept())
    with kept.lock:
        # Another incarnation of a stream (incarnations.py) has another number, and none of the former duplicates.
        stream_ids = {stream: numbers[stream] for stream in reading.slices}
        answers = [answer for answer in kept.answers if answer.stream_ids == stream_ids]
        for answer in answers:
            if answer.reading is reading and answer.version == tables.version:
                return answer
    held = dict(reading.uncommitted(group))
    logged: dict[int, bytes | None] = {}
    for stream, each in reading.slices.items():
        if not (uncommitted := each.after(each.watermarks[group])):
            continue
        if logged_ids := tables.has(numbers[stream], uncommitted[0].entry_id, uncommitted[-1].entry_id):
            logged |= {one.number: one.event.identity for one in uncommitted if one.packed_id in logged_ids}
    for number in logged:
        del held[number]
    with kept.lock:
        # The readings of several threads alternate. The most similar result leaves the fewest entries to compute.
        answers = [answer for answer in kept.answers if answer.stream_ids == stream_ids]
        nothing = StreamDeltas(TailReading({}), group, stream_ids=stream_ids)
        before = min(answers, key=lambda each: len(each.numbers ^ held.keys()), default=nothing)
        answer = _changed(before, reading, held, logged, tables, numbers)
        kept.answers.append(answer)
        return answer


def _changed(
    before: StreamDeltas,
    reading: TailReading,
    held: Mapping[int, Held],
    logged: Mapping[int, bytes | None],
    tables: _Tables,
    numbers: Mapping[str, int],
) -> StreamDeltas:
    """Return the result for these events, computed from the result `before`.

    Only added and removed entries are computed, with those of the same identity.
    """
    gone = before._by_number.keys() - held.keys()
    come = held.keys() - before._by_number.keys()
    moved = logged.keys() ^ before._logged.keys()
    # If the tail does not reach down to the log's watermark, it lacks entries that the log gains. An event of the tail
    # may duplicate one of them.
    has_come_to_tail = reading.reaches(before.group) and not before.reading.reaches(before.group)
    # So does an older reading, once the tables have entries that were written after it.
    is_older = tables.version != before.version and any(
        tables.has_after(numbers[stream], each.position) for stream, each in reading.slices.items()
    )
    inheritance = _inheritance(before, reading, tables, gone, moved, is_older=is_older)
    if not (gone or come or moved or has_come_to_tail or is_older or inheritance is not before.inheritance):
        return replace(before, reading=reading, version=tables.version)
    touched = {before._by_number[number].identity for number in gone}
    touched |= {held[number].event.identity for number in come}
    touched |= {logged[number] if number in logged else before._logged[number] for number in moved}
    alike = _alike_now(before, gone, [held[number] for number in come])
    if has_come_to_tail or is_older:
        touched |= _in_parts(tables.counted, alike.keys()).keys()
    again = come | {number for key in touched if key for number in alike.get(key, ())}
    worked_out = [held[number] for number in sorted(again)]
    counted = _in_parts(tables.counted, {key for each in worked_out if (key := each.event.identity)})
    count_changes = changes([each.event for each in worked_out], counted)
    number_of = {id(each.event): each.number for each in worked_out}
    by_number = {number: change for number, change in before._by_number.items() if number not in gone}
    by_number |= {number_of[id(change.event)]: change for change in count_changes if change.is_new}
    taken_back = (
        *(change for change in before.taken_back if change.identity not in touched),
        *(change for change in count_changes if not change.is_new),
    )
    answer = StreamDeltas(
        reading, before.group, tables.version, taken_back, inheritance, before.stream_ids, by_number, alike, logged
    )
    return _with_inherited(answer, before, again) if tables.inherits else answer


def _inheritance(
    before: StreamDeltas,
    reading: TailReading,
    tables: _Tables,
    gone: Iterable[int],
    moved: Iterable[int],
    *,
    is_older: bool,
) -> Inheritance:
    """Return the inheritance now. It reads sessions again that the log may have changed."""
    if not tables.inherits:
        return before.inheritance
    if tables.version == before.version:
        if reading.session_values == before.reading.session_values and reading.call_names == before.reading.call_names:
            return before.inheritance
        return inheritance_of(reading, before.inheritance, (), has_same_log=True)
    unsure = None
    if not is_older and reading.reaches(before.group) and before.reading.reaches(before.group):
        # Every entry that workers have committed in between was in the tail.
        everything = {**before.reading.uncommitted(before.group), **reading.uncommitted(before.group)}
        unsure = {everything[number].event.session_id for number in (*gone, *moved) if number in everything}
    return inheritance_of(reading, before.inheritance, unsure, has_same_log=False)


def _with_inherited(now: StreamDeltas, before: StreamDeltas, computed: Set[int]) -> StreamDeltas:
    """Return the changes with what their events inherit. `computed`: the numbers of those that are new."""
    values, old = now.inheritance.values, before.inheritance.values
    sessions = {session_id for session_id, its_values in values.items() if old.get(session_id) is not its_values}
    calls = {key for key, names in now.inheritance.names.items() if before.inheritance.names.get(key) != names}
    numbers = set(computed)
    for session_id in sessions | {session_id for session_id, _ in calls}:
        numbers.update(each.number for each in now.reading.with_key(("session", session_id), now.group))
    event = now.inheritance.event
    by_number = dict(now._by_number)
    for number in numbers:
        if change := by_number.get(number):
            by_number[number] = change._replace(event=event(change.event))
    taken_back = tuple(change._replace(event=event(change.event)) for change in now.taken_back)
    return replace(now, _by_number=by_number, taken_back=taken_back)


def _last_ids(changes: Iterable[CountChange], name: Callable[[Event], str]) -> Mapping[str, EntryId]:
    """Return the last entry ID of these changes by name, without those that have none."""
    last: dict[str, EntryId] = {}
    for change in changes:
        if (key := name(change.event)) and change.event.entry_id >= last.get(key, EntryId.MIN):
            last[key] = change.event.entry_id
    return last


def _alike_now(before: StreamDeltas, gone: Collection[int], come: Iterable[Held]) -> dict[bytes, tuple[int, ...]]:
    """Return the numbers of the tail's events by identity, without removed events and with added ones."""
    alike = dict(before._alike)
    for number in gone:
        key = before._by_number[number].identity
        if key is None:
            continue
        if remaining := tuple(each for each in alike.pop(key) if each != number):
            alike[key] = remaining
    for held in come:
        if held.event.identity:
            alike[held.event.identity] = (*alike.get(held.event.identity, ()), held.number)
    return alike


def _in_parts(
    counted: Callable[[Collection[bytes]], Mapping[bytes, Counted]], identities: Collection[bytes]
) -> dict[bytes, Counted]:
    every = list(identities)
    counted_by_identity: dict[bytes, Counted] = {}
    for start in range(0, len(every), _PARAMETERS_MAX):
        counted_by_identity |= counted(every[start : start + _PARAMETERS_MAX])
    return counted_by_identity


def changes_of(
    events: Sequence[Event], counted: Callable[[Collection[bytes]], Mapping[bytes, Counted]]
) -> list[CountChange]:
    """Return the changes of these new events; `counted` returns the entries of their identities counted so far."""
    return changes(events, counted({event.identity for event in events if event.identity}))


def counted_in_log(identities: Collection[bytes], stream_ids: Collection[int]) -> Mapping[bytes, Counted]:
    """Return, by identity, the entries of these identities that the log counts in these streams.

    Rows of a stream's former incarnation (incarnations.py) may have identities with the name of the present one.
    """
    return _first_of_each(_IN_LOG, list(stream_ids), identities)


def counted_of_positions(positions: Collection[int], identities: Collection[bytes]) -> Mapping[bytes, Counted]:
    """Return, by identity, the entries of these identities that a projection counts; `positions`: those of its group.

    Projections record the identities of events that have an effect on their tables.
    """
    return _first_of_each(_OF_POSITIONS, list(positions), identities)


def _first_of_each(statement: str, numbers: list[int], identities: Collection[bytes]) -> Mapping[bytes, Counted]:
    """Return, by identity, the row with the lowest entry ID, which is the one that counts."""
    if not identities or not numbers:
        return {}
    first: dict[bytes, Counted] = {}
    filled = statement.format(identities=_holders(identities), numbers=_holders(numbers))
    with connection.cursor() as cursor:
        cursor.execute(filled, [*identities, *numbers])
        for key, packed, occurred_us in cursor.fetchall():
            entry_id = EntryId.from_bytes(packed)
            before = first.get(key)
            if before is None or entry_id < before.entry_id:
                first[key] = Counted(entry_id, occurred_us)
    return first


def _holders(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))


def originals(events: Sequence[Event], unlogged: StreamDeltas) -> Mapping[Position, EntryId]:
    """Return, by the position of a duplicate among these events, the earlier entry of the log or the tail that counts.

    If the earlier entry is in neither, because the log is far behind, it counts only if it is among these events.
    """
    first = _first_counted(events)
    keyed = [((event.stream, event.identity), event) for event in events if event.identity]
    for key, event in keyed:
        first[key] = min(event.entry_id, first.get(key, event.entry_id), *unlogged.entry_ids_of(*key))
    return {Position.of(event): first[key] for key, event in keyed if event.entry_id > first[key]}


def _first_counted(events: Sequence[Event]) -> dict[tuple[str, bytes], EntryId]:
    """Return, by stream and identity, the entries of these events' identities that the log counts."""
    by_stream = defaultdict[str, set[bytes]](set)
    for event in events:
        if event.identity:
            by_stream[event.stream].add(event.identity)
    numbers = all_stream_numbers(()) if by_stream else {}
    return {
        (stream, key): counted.entry_id
        for stream, identities in by_stream.items()
        if stream in numbers
        for key, counted in counted_in_log(identities, [numbers[stream]]).items()
    }


def _place(held: Held) -> EntryId:
    return held.entry_id
