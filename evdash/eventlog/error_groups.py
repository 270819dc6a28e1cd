"""Groups of equal errors: the debug projection's tables joined with the uncommitted stream entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from evdash.eventlog.bulk import existing
from evdash.eventlog.group_progress import all_stream_numbers
from evdash.eventlog.models import ErrorGroup, ErrorGroupMember
from evdash.eventlog.read_transaction import read_transaction
from evdash.eventlog.stream_deltas import unapplied_deltas
from evdash.events.entry import EntryId
from evdash.events.error_fingerprints import ErrorGroupSummary, error_groups_of
from evdash.events.event import datetime_from_us
from evdash.streams.shared_tail import SharedTail, TailReading

GROUPS_MAX = 50


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


def error_groups(tail: SharedTail, reading: TailReading, group: str) -> list[ErrorGroupRecord]:
    """Return the groups with the most recent errors, at most GROUPS_MAX."""
    with read_transaction():
        added = error_groups_of(unapplied_deltas(tail, reading, group, all_stream_numbers(tail.streams)).of_errors())
        rows = list(ErrorGroup.objects.order_by("-last_id", "fingerprint")[:GROUPS_MAX])
        rows += ErrorGroup.objects.filter(fingerprint__in=added).exclude(pk__in=[row.pk for row in rows])
        existing_members = _existing_members(added.values())
        records = {row.fingerprint: _merged(row, added.get(row.fingerprint), existing_members) for row in rows}
    for fingerprint, summary in added.items():
        if fingerprint not in records:
            records[fingerprint] = group_of_summary(summary)
    ordered = sorted(records.values(), key=lambda record: (record.last_id, record.fingerprint), reverse=True)
    return [record for record in ordered if record.events][:GROUPS_MAX]


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
