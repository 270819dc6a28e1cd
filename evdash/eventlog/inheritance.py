"""Inherited values of events, according to the log and to the tail of the streams."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from django.utils.functional import cached_property

from evdash.eventlog.bulk import select
from evdash.eventlog.group_progress import all_stream_numbers
from evdash.eventlog.models import AgentSession, CallEntry, LoggedEvent
from evdash.eventlog.row_mapping import DECLARED, ROW_COLUMNS, declared_values, event_of_row
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.inheritance import (
    INHERITED,
    CallKey,
    CallName,
    SessionValues,
    call_key,
    inherit,
    inherit_all,
)
from evdash.streams.shared_tail import TailReading

# Rows of the log that pages judge by values which only the tail has. The rows of further sessions follow when a worker
# has committed these entries.
RELABELLED_MAX: Final = 2_000

_VALUES: Final = tuple(chain.from_iterable(DECLARED))


def logged_values(session_ids: Collection[str]) -> dict[str, SessionValues]:
    """Return the values that these sessions declare, of the sessions that the log has."""
    rows = select(AgentSession, ("session_id",), [(session_id,) for session_id in session_ids], _VALUES)
    return {session_id: declared_values(columns) for session_id, *columns in rows}


def logged_names(keys: Collection[CallKey]) -> dict[CallKey, list[CallName]]:
    """Return the entries of the log with these calls, in their order."""
    if not keys:
        return {}
    streams = {number: name for name, number in all_stream_numbers(()).items()}
    names: dict[CallKey, list[CallName]] = {}
    rows = select(CallEntry, ("session_id", "call_id"), keys, ("entry_id", "stream_id", "tool"))
    for session_id, call_id, packed, number, tool in rows:
        name = CallName(EntryId.from_bytes(bytes(packed)), streams[number], tool)
        names.setdefault((session_id, call_id), []).append(name)
    for several in names.values():
        several.sort()
    return names


def inherit_from_log(events: Sequence[Event]) -> list[Event]:
    """Return the events with what they inherit according to the log."""
    values = logged_values({event.session_id for event in events if event.session_id})
    names = logged_names({key for event in events if (key := call_key(event))})
    return inherit_all(events, values, names)


@dataclass(frozen=True, slots=True)
class Relabelled:
    """A row of the log that inherits other values than its columns have, because of entries of the tail."""

    before: Event
    now: Event
    is_duplicate: bool


@dataclass(frozen=True)
class Inheritance:
    """Values that events inherit, as known from the log and one reading of the tail.

    Without any entries in the tail it is empty.
    """

    values: Mapping[str, SessionValues] = field(default_factory=dict)  # of the sessions with entries in the tail
    # Of the calls in the tail that have an entry without the name of its tool.
    names: Mapping[CallKey, Sequence[CallName]] = field(default_factory=dict)
    _relabelled: Mapping[str, Sequence[Relabelled]] = field(default_factory=dict)  # by session
    _logged: Mapping[str, SessionValues | None] = field(default_factory=dict)  # None: the log lacks the session
    _tailed: Mapping[str, SessionValues] = field(default_factory=dict)
    _logged_names: Mapping[CallKey, Sequence[CallName]] = field(default_factory=dict)

    @cached_property
    def relabelled(self) -> Sequence[Relabelled]:
        """The rows of the log that inherit from entries which only the tail has."""
        return [row for rows in self._relabelled.values() for row in rows]

    @cached_property
    def sessions_by_user(self) -> Mapping[str, Sequence[str]]:
        """The sessions with entries in the tail, by the user that these inherit."""
        by_user: defaultdict[str, list[str]] = defaultdict(list)
        for session_id, values in self.values.items():
            by_user[values.user.text].append(session_id)
        return by_user

    @property
    def relabelled_sessions(self) -> Collection[str]:
        """The sessions of `relabelled`: the log's columns are not valid for their rows."""
        return self._relabelled.keys()

    def event(self, event: Event) -> Event:
        """Return the event with what it inherits. An event of the log keeps what the tail knows nothing of."""
        values = self.values.get(event.session_id)
        key = call_key(event) if self.names else None
        names = self.names.get(key) if key else None
        return event if values is None and names is None else inherit(event, values, names)

    def judges(self, filter: EventFilter) -> bool:
        """Return whether the log's columns cannot judge all rows by this filter, but `relabelled` can."""
        return bool(self._relabelled) and any(condition.key in INHERITED for condition in filter.conditions)


NOTHING_INHERITED: Final = Inheritance()


def inheritance_of(
    reading: TailReading, before: Inheritance, unsure: Collection[str] | None, *, has_same_log: bool
) -> Inheritance:
    """Return what events inherit as of this reading, in the caller's read transaction.

    `has_same_log`: the log has not changed since the inheritance `before`. If it has, `unsure` are the sessions of
    entries that it may have gained, with None all of them.
    """
    values, logged, changed = dict[str, SessionValues](), dict[str, SessionValues | None](), dict[str, SessionValues]()
    sessions = reading.session_values
    unchanged = {s for s, tailed in sessions.items() if before._tailed.get(s) is tailed and s in before._logged}
    kept = before._logged.keys() if has_same_log else set() if unsure is None else unchanged - set(unsure)
    missing = sessions.keys() - kept
    found = logged_values(missing) if missing else {}
    for session_id, tailed in sessions.items():
        known = logged[session_id] = found.get(session_id) if session_id in missing else before._logged[session_id]
        if session_id in unchanged and session_id not in missing:
            merged = before.values[session_id]
        else:
            merged = tailed.merged(known) if known else tailed
            if (same := before.values.get(session_id)) == merged:
                merged = same
        values[session_id] = merged
        if known and merged is not known and merged.texts != known.texts:
            changed[session_id] = merged
    known_calls = before._logged_names if has_same_log else {}
    if not has_same_log and unsure is not None:
        known_calls = {key: names for key, names in before._logged_names.items() if key[0] not in unsure}
    stored = _stored_names(reading, known_calls)
    names = {
        key: sorted({*stored[key], *tailed_names})
        for key, tailed_names in reading.call_names.items()
        if any(not name.tool for name in (*stored[key], *tailed_names))
    }
    for key in names:  # an entry of the log is named by the tail
        if any(not name.tool for name in stored[key]) and any(name.tool for name in reading.call_names[key]):
            changed.setdefault(key[0], values[key[0]])
    renamed = {key[0] for key, several in names.items() if before.names.get(key) != several}
    relabelled = {}
    if has_same_log:
        relabelled = {
            session_id: rows
            for session_id, rows in before._relabelled.items()
            if changed.get(session_id) is before.values[session_id] and session_id not in renamed
        }
    if further := {s: its_values for s, its_values in changed.items() if s not in relabelled}:
        relabelled |= _relabelled(further, names, RELABELLED_MAX - sum(map(len, relabelled.values())))
    return Inheritance(values, names, relabelled, logged, sessions, stored)


def _stored_names(
    reading: TailReading, known: Mapping[CallKey, Sequence[CallName]]
) -> dict[CallKey, Sequence[CallName]]:
    """Return the entries that the log has of the calls in the tail; `known` are those that need no query."""
    missing = reading.call_names.keys() - known.keys()
    found = logged_names(missing)
    return {key: found.get(key, ()) if key in missing else known[key] for key in reading.call_names}


def _relabelled(
    values: Mapping[str, SessionValues], names: Mapping[CallKey, Sequence[CallName]], limit: int
) -> dict[str, tuple[Relabelled, ...]]:
    """Return the rows of these sessions, at most `limit`, by session."""
    rows = LoggedEvent.objects.filter(session_id__in=list(values)).order_by("session_id")
    found = list(rows.values_list("is_duplicate", *ROW_COLUMNS)[: limit + 1])
    streams = {number: name for name, number in all_stream_numbers(()).items()}
    by_session: dict[str, tuple[Relabelled, ...]] = {}
    for is_duplicate, *row in found:
        event = event_of_row(streams, row)
        key = call_key(event)
        now = inherit(event, values[event.session_id], names.get(key) if key else None)
        by_session[event.session_id] = (*by_session.get(event.session_id, ()), Relabelled(event, now, is_duplicate))
    if len(found) > limit:
        by_session.popitem()  # the last session may be incomplete
    return by_session
