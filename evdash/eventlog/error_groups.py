"""Groups of equal errors, of all errors or of those of a filter.

All errors have read models: the debug projection's tables, joined with the uncommitted stream entries. The groups of a
filter are those of its newest errors in the event log and in the streams.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf
from typing import Any, Final, Literal

from django.db import connection
from django.db.models import Min, QuerySet
from django.db.models.functions import Collate

from evdash.eventlog.bulk import existing
from evdash.eventlog.event_pages import events_of
from evdash.eventlog.filter_summary import matches_of, raw_values
from evdash.eventlog.group_progress import all_stream_numbers
from evdash.eventlog.inheritance import Inheritance, logged_values
from evdash.eventlog.models import ErrorGroup, ErrorGroupMember, LoggedEvent
from evdash.eventlog.stream_deltas import StreamDeltas, unapplied_deltas
from evdash.events.clock_skew import bounded_time_us
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.error_groups import ErrorGroupSummary, error_groups_of
from evdash.events.event import datetime_from_us, us_from_datetime
from evdash.events.filters.event_filter import EventFilter
from evdash.streams.shared_tail import SharedTail, TailReading

GROUPS_MAX: Final = 50
"""Groups on a page, the first ones of their order."""
GroupOrder = Literal["last", "first", "errors", "rate", "sessions", "users", "message", "type", "tool"]
"""Numbers and times start with the largest or newest, texts with the first in the order of code points."""
_COLUMNS: Final[Mapping[GroupOrder, tuple[str, ...]]] = {
    "last": ("last_id",),
    "first": ("first_us",),
    "errors": ("events",),
    "rate": (),  # of a caller
    "sessions": ("sessions",),
    "users": ("users",),
    "message": ("code", "masked"),
    "type": ("type",),
    "tool": ("tool",),
}
TEXT_ORDERS: Final = ("message", "type", "tool")
NEW_WITHIN: Final = timedelta(hours=24)
"""A group is new if its first error is in this time before the end of the range, and other groups are older."""
TREND_PARTS: Final = 24
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
    is_new: bool = False  # NEW_WITHIN


@dataclass(frozen=True, slots=True)
class GroupSort:
    """The order of groups; `rates` are their error rates by fingerprint, for the order by rate."""

    order: GroupOrder = "last"
    is_reversed: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)

    @property
    def descends(self) -> bool:
        return (self.order in TEXT_ORDERS) == self.is_reversed

    def place(self, record: ErrorGroupRecord) -> Any:
        """Return the value by which groups are sorted."""
        values: Mapping[GroupOrder, Any] = {
            "last": record.last_id,
            "first": record.first_at,
            "errors": record.events,
            "rate": self.rates.get(record.fingerprint, -1.0 if self.descends else inf),  # without one: at the end
            "sessions": record.sessions,
            "users": record.users,
            "message": (record.code, record.masked),
            "type": record.type,
            "tool": record.tool,
        }
        return values[self.order]

    def first_rows(self, rows: QuerySet[ErrorGroup], limit: int) -> list[ErrorGroup]:
        """Return the rows among which the first `limit` groups of this order are.

        The table lacks rates, and users that errors inherit from their sessions. A group with a rate comes before those
        without, and one with many users has many sessions.
        """
        newest = ("-last_id", "-fingerprint")
        if self.order == "rate":
            names = sorted(self.rates, key=lambda name: (self.rates[name], name), reverse=self.descends)[:limit]
            return list(rows.filter(fingerprint__in=names) | rows.filter(pk__in=_keys(rows.order_by(*newest), limit)))
        if self.order == "users":
            by_sessions = rows.order_by("-sessions" if self.descends else "sessions", *newest)
            by_users = rows.order_by("-users" if self.descends else "users", *newest)
            return list(rows.filter(pk__in=_keys(by_sessions, limit) + _keys(by_users, limit)))
        columns = _COLUMNS[self.order]
        if self.order in TEXT_ORDERS:
            by = [Collate(column, _CODE_POINTS[connection.vendor]) for column in columns]
            return list(rows.order_by(*(each.desc() if self.descends else each.asc() for each in by), *newest)[:limit])
        own = [f"-{column}" if self.descends else column for column in columns]
        return list(rows.order_by(*own, *(each for each in newest if each[1:] not in columns))[:limit])


NEWEST_FIRST: Final = GroupSort()
_CODE_POINTS: Final = {"sqlite": "binary", "postgresql": "C"}


def _keys(rows: QuerySet[ErrorGroup], limit: int) -> list[int]:
    return list(rows.values_list("pk", flat=True)[:limit])


@dataclass(frozen=True, slots=True)
class ErrorGroups:
    """The groups of some errors."""

    shown: tuple[ErrorGroupRecord, ...]  # in their order, at most GROUPS_MAX
    groups: int  # the number of all groups
    is_exact: bool = True  # False: only the newest errors are grouped


def error_groups(
    tail: SharedTail,
    reading: TailReading,
    group: str,
    inheritance: Inheritance,
    sort: GroupSort,
    end_us: int,
    only: Collection[str] | None = None,
) -> ErrorGroups:
    """Return the groups of all errors, or those of these fingerprints. Call inside a read transaction."""
    deltas = unapplied_deltas(tail, reading, group, all_stream_numbers(tail.streams))
    all_added = error_groups_of(deltas.of_errors())
    added = {name: each for name, each in all_added.items() if only is None or name in only}
    every = ErrorGroup.objects.all() if only is None else ErrorGroup.objects.filter(fingerprint__in=only)
    # Each group with uncommitted errors may leave its place to the next one.
    rows = sort.first_rows(every, GROUPS_MAX + len(added))
    logged = set(every.filter(fingerprint__in=added).values_list("fingerprint", flat=True))
    rows += every.filter(fingerprint__in=logged - {row.fingerprint for row in rows})
    existing_members = _existing_members(added.values())
    records = {row.fingerprint: _merged(row, added.get(row.fingerprint), existing_members) for row in rows}
    for fingerprint, summary in added.items():
        if fingerprint not in records:
            records[fingerprint] = group_of_summary(summary)
    found = [record for record in records.values() if record.events]
    candidates = found if sort.order == "users" else in_order(found, sort)
    inherited, inexact = _inherited_users({record.fingerprint for record in candidates}, added, inheritance)
    shown = in_order(
        (
            replace(
                each,
                users=each.users + len(inherited.get(each.fingerprint, ())),
                has_more_users=each.fingerprint in inexact,
            )
            for each in candidates
        ),
        sort,
    )
    empty = sum(not records[fingerprint].events for fingerprint in added)
    firsts = {each.fingerprint: us_from_datetime(each.first_at) for each in shown}
    return ErrorGroups(
        with_newness(shown, firsts, _earliest_us(all_added), end_us), every.count() + len(added.keys() - logged) - empty
    )


def error_groups_of_filter(
    unlogged: StreamDeltas,
    unlogged_complete: bool,
    numbers: Mapping[str, int],
    filter: EventFilter,
    now: datetime,
    sort: GroupSort,
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
    without_text = [groups[name] for name in groups if name not in summaries]
    if sort.order not in TEXT_ORDERS:
        first = {each.fingerprint for each in in_order(map(group_of_summary, groups.values()), sort)}
        without_text = [group for group in without_text if group.fingerprint in first]
    texts = _texts(without_text, numbers)
    records = (replace(group_of_summary(each), **texts.get(name, {})) for name, each in groups.items())
    is_exact = matching.complete and sum(group.events for group in logged.values()) <= ERRORS_MAX
    return ErrorGroups(tuple(in_order(records, sort)), len(groups), is_exact)


def since_first_error(
    found: ErrorGroups, tail: SharedTail, reading: TailReading, group: str, end_us: int
) -> ErrorGroups:
    """Return the groups of a filter, marked as new by their first error of all. Call inside a read transaction."""
    deltas = unapplied_deltas(tail, reading, group, all_stream_numbers(tail.streams))
    added = error_groups_of(deltas.of_errors())
    names = [each.fingerprint for each in found.shown]
    firsts = dict(ErrorGroup.objects.filter(fingerprint__in=names).values_list("fingerprint", "first_us"))
    for each in found.shown:
        known = [us_from_datetime(each.first_at), *([firsts[each.fingerprint]] if each.fingerprint in firsts else [])]
        known += [added[each.fingerprint].first_us] if each.fingerprint in added else []
        firsts[each.fingerprint] = min(known)
    return replace(found, shown=with_newness(found.shown, firsts, _earliest_us(added), end_us))


def _earliest_us(added: Mapping[str, ErrorGroupSummary]) -> int | None:
    """Return the time of the first error of all."""
    logged = ErrorGroup.objects.aggregate(Min("first_us"))["first_us__min"]
    times_us = [each.first_us for each in added.values()] + ([] if logged is None else [logged])
    return min(times_us, default=None)


def with_newness(
    groups: Iterable[ErrorGroupRecord], firsts_us: Mapping[str, int], earliest_us: int | None, end_us: int
) -> tuple[ErrorGroupRecord, ...]:
    """Return the groups, marked as new if that holds: NEW_WITHIN before the end of the range, in Unix microseconds.

    `firsts_us` has the time of the first error of each group, `earliest_us` that of all errors. If the first error of
    all is in this time, too, no group is older, and none is new.
    """
    start_us = end_us - NEW_WITHIN // timedelta(microseconds=1)
    if earliest_us is None or earliest_us >= start_us:
        return tuple(groups)
    return tuple(replace(each, is_new=start_us <= firsts_us[each.fingerprint] < end_us) for each in groups)


@dataclass(frozen=True, slots=True)
class ErrorTrends:
    """The errors of groups over time."""

    counts: Mapping[str, tuple[int, ...]]  # by fingerprint, of TREND_PARTS equal parts of the range
    is_complete: bool = True  # False: only the newest errors are counted


def error_trends(
    unlogged: StreamDeltas,
    unlogged_complete: bool,
    numbers: Mapping[str, int],
    filter: EventFilter,
    now: datetime,
    range_us: tuple[int, int],
) -> ErrorTrends:
    """Return the errors of the filter over the range, of its newest ERRORS_MAX. Reads one database state."""
    matching = matches_of(unlogged, unlogged_complete, numbers, filter.errors(), now, limit=ERRORS_MAX)
    rows = raw_values(matching.rows.values_list("error_group", "occurred_us"))
    times = [*((event.error_group, event.occurred_us) for event in matching.counted), *rows]
    is_complete = matching.complete and len(rows) <= ERRORS_MAX
    return ErrorTrends(trends_of(times, range_us), is_complete)


def trends_of(times: Iterable[tuple[str, int]], range_us: tuple[int, int]) -> Mapping[str, tuple[int, ...]]:
    """Return the errors by group and part of the range, from fingerprints with times in Unix microseconds."""
    start_us, end_us = range_us
    counts = defaultdict[str, list[int]](lambda: [0] * TREND_PARTS)
    for fingerprint, unix_us in times:
        if start_us <= unix_us < end_us:
            counts[fingerprint][(unix_us - start_us) * TREND_PARTS // (end_us - start_us)] += 1
    return {fingerprint: tuple(parts) for fingerprint, parts in counts.items()}


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
    """Return type, code, tool and masked text of these groups by fingerprint.

    A group that the debug projection does not have yet has those of its first error.
    """
    names = ("type", "code", "tool", "masked")
    known = ErrorGroup.objects.filter(fingerprint__in=[group.fingerprint for group in groups])
    texts = {each.pop("fingerprint"): each for each in known.values("fingerprint", *names)}
    others = [group for group in groups if group.fingerprint not in texts]
    if others:
        rows = LoggedEvent.objects.filter(
            entry_id__in={group.first[0] for group in others}, error_group__in=[group.fingerprint for group in others]
        )
        found = error_groups_of(map(CountChange, events_of(rows, numbers)))
        texts |= {key: {name: getattr(each, name) for name in names} for key, each in found.items()}
    return texts


def in_order(records: Iterable[ErrorGroupRecord], sort: GroupSort) -> list[ErrorGroupRecord]:
    """Return the first GROUPS_MAX of these groups in an order; of equal ones, those with the newest errors first."""
    newest_first = sorted(records, key=lambda record: (record.last_id, record.fingerprint), reverse=True)
    return sorted(newest_first, key=sort.place, reverse=sort.descends)[:GROUPS_MAX]


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
