"""Groups of equal errors, of all errors or of those of a filter.

All errors have read models: the debug projection's tables, joined with the uncommitted stream entries. The groups of a
filter are those of its newest errors in the event log and in the streams.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from django.db import connection

from evdash.eventlog.bulk import existing
from evdash.eventlog.event_pages import events_of
from evdash.eventlog.filter_summary import matches_of
from evdash.eventlog.group_progress import all_stream_numbers
from evdash.eventlog.inheritance import Inheritance, logged_values
from evdash.eventlog.models import ErrorGroup, ErrorGroupMember, LoggedEvent
from evdash.eventlog.stream_deltas import StreamDeltas, unapplied_deltas
from evdash.events.clock_skew import bounded_time_us
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.error_groups import ErrorGroupSummary, error_groups_of
from evdash.events.event import datetime_from_us
from evdash.events.filters.event_filter import EventFilter
from evdash.streams.shared_tail import SharedTail, TailReading

GROUPS_MAX: Final = 50
"""Groups on a page, the first ones of their order."""
GroupOrder = Literal["last", "first", "errors", "sessions"]
"""By newest error, by first error, by number of errors or of sessions; the newest or largest first."""
_COLUMNS: Final[Mapping[GroupOrder, str]] = {
    "last": "last_id",
    "first": "first_us",
    "errors": "events",
    "sessions": "sessions",
}
UNNAMED_MAX: Final = 200
"""Sessions of a group whose user is read from the session, because their errors name none."""
ERRORS_MAX: Final = 10_000
"""Errors of a filter that are grouped, the newest ones. Reading and grouping them takes about 0.1 s."""


@dataclass(frozen=True, slots=True)
class ErrorGroupRecord:
    """A group of errors, as a list displays it."""

    fingerprint: str
    type: str
    code: str
    tool: str
    masked: str
    events: int
    sessions: int
    users: int
    first_at: datetime
    last_at: datetime
    first_stream: str
    first_id: EntryId  # the earliest error of the group
    last_id: EntryId
    has_more_users: bool = False  # True: there may be more users, which were not counted


@dataclass(frozen=True, slots=True)
class ErrorGroups:
    """The groups of some errors."""

    shown: tuple[ErrorGroupRecord, ...]  # in their order, at most GROUPS_MAX
    groups: int  # the number of all groups
    is_exact: bool = True  # False: only the newest errors are grouped


def error_groups(
    tail: SharedTail, reading: TailReading, group: str, inheritance: Inheritance, order: GroupOrder
) -> ErrorGroups:
    """Return the groups of all errors. Call inside a read transaction."""
    deltas = unapplied_deltas(tail, reading, group, all_stream_numbers(tail.streams))
    added = error_groups_of(deltas.of_errors())
    in_sql = dict.fromkeys((f"-{_COLUMNS[order]}", "-last_id", "-fingerprint"))
    # Each group with uncommitted errors may leave its place to the next one.
    rows = list(ErrorGroup.objects.order_by(*in_sql)[: GROUPS_MAX + len(added)])
    logged = set(ErrorGroup.objects.filter(fingerprint__in=added).values_list("fingerprint", flat=True))
    rows += ErrorGroup.objects.filter(fingerprint__in=logged - {row.fingerprint for row in rows})
    existing_members = _existing_members(added.values())
    records = {row.fingerprint: _merged(row, added.get(row.fingerprint), existing_members) for row in rows}
    for fingerprint, summary in added.items():
        if fingerprint not in records:
            records[fingerprint] = group_of_summary(summary)
    shown = in_order([record for record in records.values() if record.events], order)
    inherited, inexact = _inherited_users({record.fingerprint for record in shown}, added, inheritance)
    empty = sum(not records[fingerprint].events for fingerprint in added)
    return ErrorGroups(
        tuple(
            replace(
                each,
                users=each.users + len(inherited.get(each.fingerprint, ())),
                has_more_users=each.fingerprint in inexact,
            )
            for each in shown
        ),
        ErrorGroup.objects.count() + len(added.keys() - logged) - empty,
    )


def error_groups_of_filter(
    unlogged: StreamDeltas,
    unlogged_complete: bool,
    numbers: Mapping[str, int],
    filter: EventFilter,
    now: datetime,
    order: GroupOrder,
) -> ErrorGroups:
    """Return the groups of the errors that the filter matches. Call inside a read transaction."""
    matching = matches_of(unlogged, unlogged_complete, numbers, filter.errors(), now, limit=ERRORS_MAX)
    summaries = dict(error_groups_of(map(CountChange, matching.counted)))
    names = {number: name for name, number in numbers.items()}
    logged = _groups_of_rows(list(matching.rows.values_list(*_ROW)), names)
    merged = {
        fingerprint: summaries[fingerprint].merged(found) if fingerprint in summaries else found
        for fingerprint, found in logged.items()
    }
    groups = {**summaries, **merged}
    shown = in_order(map(group_of_summary, groups.values()), order)
    texts = _texts([groups[each.fingerprint] for each in shown if each.fingerprint not in summaries], numbers)
    shown = [replace(each, **texts.get(each.fingerprint, {})) for each in shown]
    is_exact = matching.complete and sum(group.events for group in logged.values()) <= ERRORS_MAX
    return ErrorGroups(tuple(shown), len(groups), is_exact)


_ROW: Final = ("error_group", "session_id", "user_id", "stream_id", "entry_id", "occurred_us")


def _groups_of_rows(rows: Iterable[Any], names: Mapping[int, str]) -> dict[str, ErrorGroupSummary]:
    """Return the groups of these values of _ROW, without their texts."""
    by_group = defaultdict[str, list[Any]](list)
    for fingerprint, *values in rows:
        by_group[fingerprint].append(values)
    groups = {}
    for fingerprint, values in by_group.items():
        sessions, users, numbers, ids, _ = zip(*values, strict=True)
        times_us = [bounded_time_us(occurred_us, entry_id) for *_, entry_id, occurred_us in values]
        groups[fingerprint] = ErrorGroupSummary(
            fingerprint=fingerprint,
            type="",
            code="",
            tool="",
            masked="",
            first=min((entry_id, names[number]) for entry_id, number in zip(ids, numbers, strict=True)),
            last_id=max(ids),
            first_us=min(times_us),
            last_us=max(times_us),
            events=len(values),
            sessions=frozenset(sessions) - {""},
            users=frozenset(users) - {""},
            unnamed=frozenset(),
        )
    return groups


def _texts(groups: Sequence[ErrorGroupSummary], numbers: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Return type, code, tool and masked text of these groups by fingerprint, from the first error of each."""
    rows = LoggedEvent.objects.filter(
        entry_id__in={group.first[0] for group in groups}, error_group__in=[group.fingerprint for group in groups]
    )
    found = error_groups_of(map(CountChange, events_of(rows, numbers)))
    return {
        fingerprint: {"type": each.type, "code": each.code, "tool": each.tool, "masked": each.masked}
        for fingerprint, each in found.items()
    }


def in_order(records: Iterable[ErrorGroupRecord], order: GroupOrder) -> list[ErrorGroupRecord]:
    """Return the first GROUPS_MAX of these groups in an order."""

    def place(record: ErrorGroupRecord) -> tuple[Any, ...]:
        values: Mapping[GroupOrder, Any] = {
            "last": record.last_id,
            "first": record.first_at,
            "errors": record.events,
            "sessions": record.sessions,
        }
        return values[order], record.last_id, record.fingerprint

    return sorted(records, key=place, reverse=True)[:GROUPS_MAX]


def _inherited_users(
    fingerprints: Set[str], added: Mapping[str, ErrorGroupSummary], inheritance: Inheritance
) -> tuple[Mapping[str, Set[str]], Set[str]]:
    """Return, by group, the users that errors inherit from their session, and that no error of the group names.

    Also return the groups with more than UNNAMED_MAX sessions whose errors name no user: further users are not read.
    """
    sessions = _unnamed_sessions(fingerprints)
    inexact = {fingerprint for fingerprint, names in sessions.items() if len(names) > UNNAMED_MAX}
    for fingerprint in fingerprints & added.keys():
        sessions[fingerprint] |= added[fingerprint].unnamed
    every = set().union(*sessions.values())
    users_of = {session_id: values.user.text for session_id, values in logged_values(every).items()}
    users_of |= {name: values.user.text for name, values in inheritance.values.items() if values.user}
    users = {
        fingerprint: {user for name in names if (user := users_of.get(name))} for fingerprint, names in sessions.items()
    }
    wanted = [(fingerprint, "user", user) for fingerprint, names in users.items() for user in names]
    for fingerprint, _, user in existing(ErrorGroupMember, ("fingerprint", "kind", "name"), wanted):
        users[fingerprint].discard(user)
    return {name: users[name] - (added[name].users if name in added else set()) for name in users}, inexact


def _unnamed_sessions(fingerprints: Set[str]) -> defaultdict[str, set[str]]:
    """Return, by group, at most UNNAMED_MAX + 1 sessions with an error that names no user."""
    sessions = defaultdict[str, set[str]](set)
    if fingerprints:
        statement = " UNION ALL ".join([_UNNAMED] * len(fingerprints))
        parameters = [value for fingerprint in fingerprints for value in (fingerprint, UNNAMED_MAX + 1)]
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            for fingerprint, name in cursor.fetchall():
                sessions[fingerprint].add(name)
    return sessions


# One statement for all groups. The ORM has no limit for each part of a union.
_UNNAMED: Final = """
    SELECT * FROM (
        SELECT fingerprint, name FROM eventlog_errorgroupmember
        WHERE fingerprint = %s AND kind = 'unnamed' ORDER BY name LIMIT %s
    ) AS members
"""


def _merged(
    row: ErrorGroup, added: ErrorGroupSummary | None, existing_members: Mapping[tuple[str, str], int]
) -> ErrorGroupRecord:
    first, last_id, first_us, last_us, events = (
        (row.first_id, row.first_stream), row.last_id, row.first_us, row.last_us, row.events,
    )  # fmt: skip
    sessions, users = row.sessions, row.users
    if added is not None:
        first, last_id = min(first, added.first), max(last_id, added.last_id)
        first_us, last_us, events = min(first_us, added.first_us), max(last_us, added.last_us), events + added.events
        sessions += len(added.sessions) - existing_members.get((row.fingerprint, "session"), 0)
        users += len(added.users) - existing_members.get((row.fingerprint, "user"), 0)
    return ErrorGroupRecord(
        fingerprint=row.fingerprint,
        type=row.type,
        code=row.code,
        tool=row.tool,
        masked=row.masked,
        events=events,
        sessions=sessions,
        users=users,
        first_at=datetime_from_us(first_us),
        last_at=datetime_from_us(last_us),
        first_stream=first[1],
        first_id=first[0],
        last_id=last_id,
    )


def _existing_members(added: Collection[ErrorGroupSummary]) -> Mapping[tuple[str, str], int]:
    """Return, by group and kind ("session", "user"), how many of the added names the tables already contain."""
    members = [
        (each.fingerprint, kind, name)
        for each in added
        for kind, names in (("session", each.sessions), ("user", each.users))
        for name in names
    ]
    existing_members = existing(ErrorGroupMember, ("fingerprint", "kind", "name"), members)
    return Counter((fingerprint, kind) for fingerprint, kind, _ in existing_members)


def group_of_summary(summary: ErrorGroupSummary) -> ErrorGroupRecord:
    """Return the group with the values of this summary alone."""
    return ErrorGroupRecord(
        fingerprint=summary.fingerprint,
        type=summary.type,
        code=summary.code,
        tool=summary.tool,
        masked=summary.masked,
        events=summary.events,
        sessions=len(summary.sessions),
        users=len(summary.users),
        first_at=datetime_from_us(summary.first_us),
        last_at=datetime_from_us(summary.last_us),
        first_stream=summary.first[1],
        first_id=summary.first[0],
        last_id=summary.last_id,
    )
