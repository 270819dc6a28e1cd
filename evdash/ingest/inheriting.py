"""Inheritance in the event log: columns of rows follow the first values of their session, and the tool of their call.

The caller holds the lock of the audit group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import reduce
from operator import or_
from typing import Final

from django.db.models import F, Q

from evdash.eventlog.bulk import insert, update
from evdash.eventlog.group_progress import all_stream_numbers
from evdash.eventlog.inheritance import logged_names, logged_values
from evdash.eventlog.models import AgentUser, CallEntry, LoggedEvent, Participation, Tally, UserDay
from evdash.eventlog.row_mapping import (
    INHERITED_COLUMNS,
    ROW_COLUMNS,
    event_of_row,
    inherited_values,
)
from evdash.events.clock_skew import bounded_time_us
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.event import Event, us_from_datetime
from evdash.events.inheritance import (
    INHERITED,
    NO_VALUES,
    CallKey,
    CallName,
    SessionValues,
    call_key,
    call_names,
    declared_by,
    inherit,
    inherit_all,
    own,
    tool_of_call,
)
from evdash.ingest import read_models

_BATCH: Final = 2_000
_KEYS_AT_ONCE: Final = 500


def with_inherited(changes: Sequence[CountChange], numbers: Mapping[str, int]) -> list[CountChange]:
    """Return the changes of new events with what these inherit, and update the rows that inherit from them.

    `numbers` are the log's numbers of their streams. Call this before the events are in the log.
    """
    events = [change.event for change in changes]
    new = [change.event for change in changes if change.is_new]
    values = before = logged_values({event.session_id for event in events if event.session_id})
    added_names: defaultdict[CallKey, list[CallName]] = defaultdict(list)
    for event in new:
        if (declared := declared_by(event)) is not NO_VALUES:
            values = dict(before) if values is before else values
            values[event.session_id] = values.get(event.session_id, NO_VALUES).merged(declared)
        if event.call_id:
            for key, name in call_names(event):
                added_names[key].append(name)
    inheriting = {call for event in events if event.call_id and (call := call_key(event))}
    stored = logged_names(added_names.keys() | inheriting)
    names = {key: sorted([*stored.get(key, ()), *added_names[key]]) for key in stored.keys() | added_names.keys()}
    changed = [key for key, its_values in before.items() if values[key] is not its_values]
    changed = [key for key in changed if values[key].texts != before[key].texts]
    renamed = [
        (name.stream, name.entry_id)
        for key, several in stored.items()
        if any(name.tool for name in added_names[key])
        for name in several
        if not name.tool and tool_of_call(name[:2], several) != tool_of_call(name[:2], names[key])
    ]
    if changed or renamed:
        _relabel(_rows_of_sessions(changed), values, names)
        _relabel(_rows_at(renamed), values, names)
    _insert_calls(added_names, numbers)
    return [
        change if event is change.event else CountChange(event, change.identity, change.counts, change.is_new)
        for change, event in zip(changes, inherit_all(events, values, names), strict=True)
    ]


def add_calls(events: Iterable[Event], numbers: Mapping[str, int]) -> None:
    """Record the calls of these events of the log."""
    names: defaultdict[CallKey, list[CallName]] = defaultdict(list)
    for event in events:
        for key, name in call_names(event):
            names[key].append(name)
    _insert_calls(names, numbers)


def _insert_calls(names: Mapping[CallKey, Sequence[CallName]], numbers: Mapping[str, int]) -> None:
    columns = ("session_id", "call_id", "stream_id", "entry_id", "tool", "is_inside")
    rows = [
        (*key, numbers[name.stream], name.entry_id.to_bytes(), name.tool, name.is_inside)
        for key, several in names.items()
        for name in several
    ]
    insert(CallEntry, columns, rows)


def inherit_in_log() -> Iterator[list[CountChange]]:
    """Yield all rows of the log as changes, with what they inherit according to the read models, and update them."""
    after = 0
    streams = {number: name for name, number in all_stream_numbers(()).items()}
    while True:
        rows = LoggedEvent.objects.filter(pk__gt=after).order_by("pk")
        batch = list(rows.values_list("pk", "is_duplicate", *ROW_COLUMNS)[:_BATCH])
        if not batch:
            return
        after = batch[-1][0]
        logged = [own(event_of_row(streams, row)) for _, _, *row in batch]
        values = logged_values({event.session_id for event in logged if event.session_id})
        names = logged_names({key for event in logged if (key := call_key(event))})
        events = inherit_all(logged, values, names)
        update(
            LoggedEvent,
            INHERITED_COLUMNS,
            [
                (*now, key)
                for (key, _, _, _, _, *columns), event in zip(batch, events, strict=True)
                if tuple(columns) != (now := inherited_values(event))
            ],
        )
        yield [
            CountChange(event, counts=int(not is_duplicate))
            for (_, is_duplicate, *_), event in zip(batch, events, strict=True)
        ]


_Row = tuple[int, bool, Event]
"""Key of a row, whether it is a duplicate, and its event."""


def _rows_of_sessions(session_ids: Sequence[str]) -> Iterator[list[_Row]]:
    """Yield the rows of these sessions that inherit, or lack what they may inherit."""
    lacking = reduce(or_, (Q(**{attribute: ""}) for attribute in INHERITED.values()), Q(inherited__gt=0))
    for session_id in session_ids:
        after = 0
        while batch := _rows(Q(session_id=session_id, pk__gt=after) & lacking):
            yield batch
            after = batch[-1][0]


def _rows_at(places: Sequence[tuple[str, EntryId]]) -> Iterator[list[_Row]]:
    wanted = set(places)
    for start in range(0, len(places), _KEYS_AT_ONCE):
        ids = {entry_id for _, entry_id in places[start : start + _KEYS_AT_ONCE]}
        rows = _rows(Q(entry_id__in=ids), limit=None)
        yield [row for row in rows if (row[2].stream, row[2].entry_id) in wanted]


def _rows(condition: Q, limit: int | None = _BATCH) -> list[_Row]:
    streams = {number: name for name, number in all_stream_numbers(()).items()}
    rows = LoggedEvent.objects.filter(condition).order_by("pk").values_list("pk", "is_duplicate", *ROW_COLUMNS)
    return [(key, is_duplicate, event_of_row(streams, row)) for key, is_duplicate, *row in rows[:limit]]


def _relabel(
    batches: Iterable[list[_Row]], values: Mapping[str, SessionValues], names: Mapping[CallKey, Sequence[CallName]]
) -> None:
    """Update the rows whose inheritance has changed, and the read models of their users."""
    for batch in batches:
        updates, moved = [], []
        for key, is_duplicate, event in batch:
            call = call_key(event)
            now = inherit(event, values.get(event.session_id, NO_VALUES), names.get(call) if call else None)
            if now == event:
                continue
            updates.append((*inherited_values(now), key))
            if now.user_id != event.user_id:
                counts = 0 if is_duplicate else 1
                moved += [
                    CountChange(event, counts=-counts, is_new=False),
                    CountChange(now, counts=counts, is_new=False),
                ]
        update(LoggedEvent, INHERITED_COLUMNS, updates)
        read_models.add_to_users(moved)
        left = defaultdict[str, list[Event]](list)
        for change in moved[::2]:
            if change.event.user_id:
                left[change.event.user_id].append(change.event)
        for user_id, events in left.items():
            _settle(user_id, events)


def _settle(user_id: str, moved: Sequence[Event]) -> None:
    """Correct the values of a user that are not sums, after these events have another one: ends, days and sessions."""
    rows = LoggedEvent.objects.filter(user_id=user_id)
    by_id = rows.order_by("entry_id").values_list("entry_id", flat=True)
    lost = 0
    for session_id in {event.session_id for event in moved}:
        last_id = by_id.filter(session_id=session_id).last()
        participation = Participation.objects.filter(user_id=user_id, session_id=session_id)
        if last_id is None:
            lost += participation.delete()[0]
        else:
            participation.update(last_id=last_id)
    for day in {event.occurred_at.date() for event in moved}:
        start_us = us_from_datetime(datetime.combine(day, time(), UTC))
        if not rows.filter(occurred_us__gte=start_us, occurred_us__lt=start_us + _DAY_US).exists():
            UserDay.objects.filter(user_id=user_id, day=day).delete()
    users = AgentUser.objects.filter(user_id=user_id)
    first_id, last_id = by_id.first(), by_id.last()
    if first_id is None or last_id is None:
        users.delete()
        Tally.objects.filter(name="users").update(value=F("value") - 1)
        return
    users.update(first_id=first_id, last_id=last_id, sessions=F("sessions") - lost)
    first_us, last_us = users.values_list("first_us", "last_us").get()
    if any(event.credible_us in (first_us, last_us) for event in moved):
        # The credible time depends on the entry ID, so SQL cannot compute it.
        times = rows.values_list("occurred_us", "entry_id").iterator()
        first_us, last_us = _ends(bounded_time_us(*row) for row in times)
        users.update(first_us=first_us, last_us=last_us)


def _ends(numbers: Iterable[int]) -> tuple[int, int]:
    """Return the smallest and the largest of these numbers, of which there is at least one."""
    numbers = iter(numbers)
    smallest = largest = next(numbers)
    for number in numbers:
        smallest, largest = min(smallest, number), max(largest, number)
    return smallest, largest


_DAY_US: Final = timedelta(days=1) // timedelta(microseconds=1)
