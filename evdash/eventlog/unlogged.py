"""The events of the streams that the tables do not have yet, and which of all events are duplicates."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

from evdash.eventlog.models import AppliedEntry, GroupPosition, LoggedEvent
from evdash.eventlog.records import Position
from evdash.events.conditions import Condition
from evdash.events.duplicates import Change, Counted, changes, identity
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.summaries import SessionSummary, UserSummary, added_to_sessions, added_to_users
from evdash.streams.shared_tail import Held, SharedTail, TailReading, key_of

# Requests that run at once have readings of slightly different moments.
_SNAPSHOTS: Final = 4
_PARAMETERS_MAX: Final = 5_000


@dataclass(frozen=True, slots=True)
class Unlogged:
    """What the uncommitted events of a reading that a group's tables do not have change of what the tables say."""

    reading: TailReading
    group: str
    sessions: Mapping[str, SessionSummary] = field(default_factory=dict)  # what they add to sessions
    users: Mapping[str, UserSummary] = field(default_factory=dict)  # `sessions` of each left at 0
    taken_back: tuple[Change, ...] = ()  # events of the tables that are duplicates of these
    _by_number: Mapping[int, Change] = field(default_factory=dict)
    _counted: Mapping[bytes, Counted] = field(default_factory=dict)
    _logged: frozenset[int] = frozenset()

    @property
    def entries(self) -> int:
        """How many entries the tables lack of what was read."""
        return len(self._by_number)

    @property
    def changes(self) -> list[Change]:
        """All of them."""
        return [*self._by_number.values(), *self.taken_back]

    def found(self, driver: Condition | None) -> list[Change]:
        """Those that can meet the condition, which is one that the tail has an index for; all for None."""
        if driver is None:
            return self.changes
        held = self.reading.found(key_of(driver), self.group)
        return [*(self._by_number[each.number] for each in held if each.number in self._by_number), *self.taken_back]

    def of_session(self, session_id: str) -> list[Change]:
        """Those of one session."""
        found = self.found(Condition("session", session_id))
        return [change for change in found if change.event.session_id == session_id]

    def of_user(self, user_id: str) -> list[Change]:
        """Those of one user."""
        found = self.found(Condition("user", user_id))
        return [change for change in found if change.event.user_id == user_id]

    def of_errors(self) -> list[Change]:
        """Those of errors."""
        return [change for change in self.found(Condition("is", "error")) if change.event.is_error]


@dataclass(frozen=True, slots=True)
class _Tables:
    """How the tables of a group tell what is in them."""

    has: Callable[[EntryId, EntryId], set[tuple[int, EntryId]]]  # entries of a range, by the stream's number
    counted: Callable[[Collection[bytes]], Mapping[bytes, Counted]]
    with_summaries: bool


class _Kept:
    """The last answers for one tail and group: the next one adds to them what came since."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.basis: tuple[int, tuple[int, ...]] | None = None
        self.answers: deque[Unlogged] = deque(maxlen=_SNAPSHOTS)


_kept: WeakKeyDictionary[SharedTail, dict[str, _Kept]] = WeakKeyDictionary()
_kept_lock = threading.Lock()


def unlogged(tail: SharedTail, reading: TailReading, group: str, numbers: Mapping[str, int]) -> Unlogged:
    """What the log lacks. Asked inside the snapshot whose rows it is added to, after the stream was read: what is
    committed between is in the log, and never in both or in neither."""

    def has(oldest: EntryId, newest: EntryId) -> set[tuple[int, EntryId]]:
        rows = LoggedEvent.objects.filter(entry_id__gte=oldest, entry_id__lte=newest)
        return set(rows.values_list("stream_id", "entry_id"))

    return _unlogged(tail, reading, group, numbers, _Tables(has, counted_in_log, with_summaries=True))


def unapplied(tail: SharedTail, reading: TailReading, group: str, numbers: Mapping[str, int]) -> Unlogged:
    """As `unlogged`: what the group's projection has not applied, without sessions and users."""
    positions = dict(GroupPosition.objects.filter(group=group).values_list("pk", "stream_id"))

    def has(oldest: EntryId, newest: EntryId) -> set[tuple[int, EntryId]]:
        rows = AppliedEntry.objects.filter(position_id__in=positions, entry_id__gte=oldest, entry_id__lte=newest)
        return {(positions[position], entry_id) for position, entry_id in rows.values_list("position_id", "entry_id")}

    def counted(identities: Collection[bytes]) -> Mapping[bytes, Counted]:
        rows = AppliedEntry.objects.filter(identity__in=identities, position_id__in=positions)
        return first_of_each(rows.values_list("identity", "entry_id", "occurred_us"))

    return _unlogged(tail, reading, group, numbers, _Tables(has, counted, with_summaries=False))


def _unlogged(
    tail: SharedTail, reading: TailReading, group: str, numbers: Mapping[str, int], tables: _Tables
) -> Unlogged:
    held = list(reading.uncommitted(group))
    if not held:
        return Unlogged(reading, group)
    ids = [each.entry_id for each in held]
    there = tables.has(min(ids), max(ids))
    logged = frozenset(each.number for each in held if there and (numbers[each.event.stream], each.entry_id) in there)
    with _kept_lock:
        kept = _kept.setdefault(tail, {}).setdefault(group, _Kept())
    with kept.lock:
        # While the log is so far behind that the tail does not reach down to it, this stays the same as it catches up:
        # an event whose first is among what the tail lacks is marked when the log has come to the tail.
        basis = (
            reading.epoch,
            tuple(
                len(each.after(each.watermarks[group])) - length
                for each, length in zip(reading.slices.values(), reading.lengths, strict=True)
            ),
        )
        if basis != kept.basis:
            kept.basis = basis
            kept.answers.clear()
        before = _nearest(kept.answers, reading, logged)
        if before is not None and before.reading.lengths == reading.lengths:
            return before
        known = before.reading.upto if before else 0
        answer = _extended(
            before or Unlogged(reading, group),
            reading,
            [each for each in held if each.number >= known and each.number not in logged],
            logged,
            tables,
        )
        kept.answers.append(answer)
        return answer


def _nearest(answers: Iterable[Unlogged], reading: TailReading, logged: frozenset[int]) -> Unlogged | None:
    """The answer that lacks the fewest events of this reading, and has none more."""
    fitting = [
        answer
        for answer in answers
        if answer.reading.upto <= reading.upto
        and answer._logged == frozenset(number for number in logged if number < answer.reading.upto)
    ]
    return max(fitting, key=lambda answer: answer.reading.upto, default=None)


def _extended(
    before: Unlogged, reading: TailReading, held: Sequence[Held], logged: frozenset[int], tables: _Tables
) -> Unlogged:
    """With these events as well, which came after the others."""
    identities = [each.identity for each in held]
    asked = {key for key in identities if key and key not in before._counted}
    counted = {**_in_parts(tables.counted, asked), **before._counted}
    found = changes([each.event for each in held], counted, identities)
    number_of = {id(each.event): each.number for each in held}
    by_number = {number_of[id(change.event)]: change for change in found if change.is_new}
    counted_now = dict(before._counted)
    counted_now |= {key: counted[key] for key in asked if key in counted}
    for change in found:
        if change.counts == 1 and change.identity:
            counted_now[change.identity] = Counted(change.event.entry_id, change.event.occurred_us)
    return Unlogged(
        reading,
        before.group,
        added_to_sessions(before.sessions, found) if tables.with_summaries else {},
        added_to_users(before.users, found) if tables.with_summaries else {},
        (*before.taken_back, *(change for change in found if not change.is_new)),
        {**before._by_number, **by_number},
        counted_now,
        logged,
    )


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
