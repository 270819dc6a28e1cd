"""What every table of every projection must hold: a plain fold over all entries, without a database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from evdash.eventlog.models import (
    AgentSession,
    AgentUser,
    AppliedEntry,
    ErrorGroup,
    ErrorGroupMember,
    LatencyCount,
    LoggedEvent,
    Participation,
    Tally,
    TypeCount,
    UserDay,
)
from evdash.eventlog.row_mapping import INHERITED_COLUMNS, inherited_values, pack, session_of_row, user_of_row
from evdash.eventlog.time_buckets import WIDTHS_S, slot_start_s
from evdash.events.call_latencies import changed_latencies, with_parts
from evdash.events.decoding import decode
from evdash.events.deduplication import changes
from evdash.events.entry import Entry, EntryId
from evdash.events.error_groups import error_groups_of
from evdash.events.inheritance import inherit_among
from evdash.events.summaries import sessions_of, users_of

Tables = dict[str, Any]


def expected(entries: Sequence[Entry]) -> Tables:
    """The tables after these entries, each of them once, in any order."""
    own = changes([decode(entry) for entry in entries], {})
    groups = error_groups_of(own)
    events = inherit_among([change.event for change in own])
    found = [change._replace(event=event) for change, event in zip(own, events, strict=True)]
    sessions, users = sessions_of(found), users_of(found)
    last_of: dict[tuple[str, str], EntryId] = {}
    days: defaultdict[tuple[str, Any], list[int]] = defaultdict(lambda: [0, 0])
    slots: dict[tuple[str, int, int, str], list[Any]] = {}
    latencies: Counter[tuple[str, int, int, str, int]] = Counter()
    for change in found:
        event = change.event
        if event.user_id and event.session_id:
            key = (event.user_id, event.session_id)
            last_of[key] = max(event.entry_id, last_of.get(key, EntryId.MIN))
        if event.user_id:
            day = days[event.user_id, event.occurred_at.date()]
            day[0] += change.counts
            day[1] += change.counts * event.is_error
        for width_s in WIDTHS_S:
            start_s = slot_start_s(event.occurred_us, width_s)
            row = slots.setdefault((event.stream, width_s, start_s, event.type), [0, 0, event.entry_id, event.entry_id])
            row[0] += change.counts
            row[1] += change.counts * event.is_error
            row[2], row[3] = min(row[2], event.entry_id), max(row[3], event.entry_id)
    for latency, count in changed_latencies(with_parts(own), {}).items():
        for width_s in WIDTHS_S:
            start_s = slot_start_s(latency.occurred_us, width_s)
            latencies[latency.stream, width_s, start_s, latency.operation, latency.bucket] += count
    taken_part = Counter(user for user, _ in last_of)
    return {
        "log": {
            (event.stream, event.entry_id): (
                pack(event.entry.pairs), event.type, change.is_duplicate, event.identity, inherited_values(event)
            )
            for change, event in zip(found, events, strict=True)
        },
        "sessions": dict(sessions),
        "users": {key: replace(summary, sessions=taken_part[key]) for key, summary in users.items()},
        "participations": last_of,
        "days": {key: tuple(counts) for key, counts in days.items()},
        "type counts": {key: tuple(row) for key, row in slots.items()},
        "tallies": {name: len(rows) for name, rows in (("sessions", sessions), ("users", users)) if rows},
        "latencies": dict(latencies),
        "error groups": {
            key: (g.type, g.code, g.tool, g.masked, g.first, g.last_id, g.first_us, g.last_us, g.events,
                  len(g.sessions), len(g.users))
            for key, g in groups.items()
        },
        "error group members": {
            (key, kind, name)
            for key, g in groups.items()
            for kind, names in (("session", g.sessions), ("user", g.users), ("unnamed", g.unnamed))
            for name in names
        },
    }  # fmt: skip


def actual() -> Tables:
    """The same of the tables as they are."""
    return {
        "log": {
            (row.stream.name, row.entry_id): (
                bytes(row.pairs), row.type, row.is_duplicate, bytes(row.identity) if row.identity else None,
                tuple(getattr(row, name) for name in INHERITED_COLUMNS),
            )
            for row in LoggedEvent.objects.select_related("stream")
        },
        "sessions": {row.session_id: session_of_row(row) for row in AgentSession.objects.all()},
        "users": {row.user_id: user_of_row(row) for row in AgentUser.objects.all()},
        "participations": {(row.user_id, row.session_id): row.last_id for row in Participation.objects.all()},
        "days": {(row.user_id, row.day): (row.events, row.errors) for row in UserDay.objects.all()},
        "type counts": {
            (row.stream.name, row.width_s, row.start_s, row.type): (row.events, row.errors, row.first_id, row.last_id)
            for row in TypeCount.objects.select_related("stream")
        },
        "tallies": {row.name: row.value for row in Tally.objects.all()},
        "latencies": {
            (row.stream.name, row.width_s, row.start_s, row.operation, row.bucket): row.events
            for row in LatencyCount.objects.select_related("stream")
        },
        "error groups": {
            row.fingerprint: (
                row.type, row.code, row.tool, row.masked, (row.first_id, row.first_stream), row.last_id,
                row.first_us, row.last_us, row.events, row.sessions, row.users,
            )
            for row in ErrorGroup.objects.all()
        },
        "error group members": {(row.fingerprint, row.kind, row.name) for row in ErrorGroupMember.objects.all()},
    }  # fmt: skip


def applied(group: str) -> set[tuple[str, EntryId]]:
    """The entries that a counting projection says it has applied."""
    rows = AppliedEntry.objects.filter(position__group=group).select_related("position__stream")
    return {(row.position.stream.name, row.entry_id) for row in rows}


def assert_equal(found: Tables, wanted: Tables) -> None:
    """With the first difference of each table, for tables are long."""
    for table, rows in wanted.items():
        if found[table] == rows:
            continue
        if isinstance(rows, set):
            raise AssertionError(
                f"{table}: missing {list(rows - found[table])[:3]}, extra {list(found[table] - rows)[:3]}"
            )
        keys = [key for key in rows.keys() | found[table].keys() if rows.get(key) != found[table].get(key)]
        key = keys[0]
        raise AssertionError(f"{table}: {len(keys)} differ, as {key}: {found[table].get(key)} is not {rows.get(key)}")
