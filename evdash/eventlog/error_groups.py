"""Errors that are the same, in groups: the debug projection's tables, and what the streams add to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from evdash.eventlog.models import ErrorGroup, ErrorGroupMember
from evdash.eventlog.positions import all_stream_numbers
from evdash.eventlog.snapshot import snapshot
from evdash.eventlog.unlogged import unapplied
from evdash.events.entry_id import EntryId
from evdash.events.error_groups import ErrorGroupSummary, error_groups_of
from evdash.events.event import datetime_from_us
from evdash.streams.shared_tail import SharedTail, TailReading

GROUPS_MAX = 50


@dataclass(frozen=True, slots=True)
class ErrorGroupRecord:
    """A group of errors, as a list shows it."""

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
    """The groups that were hit last, at most GROUPS_MAX."""
    with snapshot():
        added = error_groups_of(unapplied(tail, reading, group, all_stream_numbers(tail.streams)).of_errors())
        rows = list(ErrorGroup.objects.order_by("-last_id", "fingerprint")[:GROUPS_MAX])
        rows += ErrorGroup.objects.filter(fingerprint__in=added).exclude(pk__in=[row.pk for row in rows])
        found = {row.fingerprint: _merged(row, added.get(row.fingerprint)) for row in rows}
    for fingerprint, summary in added.items():
        if fingerprint not in found:
            found[fingerprint] = group_of_summary(summary)
    ordered = sorted(found.values(), key=lambda record: (record.last_id, record.fingerprint), reverse=True)
    return [record for record in ordered if record.events][:GROUPS_MAX]


def _merged(row: ErrorGroup, added: ErrorGroupSummary | None) -> ErrorGroupRecord:
    first, last_id, first_us, last_us, events = (
        (row.first_id, row.first_stream), row.last_id, row.first_us, row.last_us, row.events,
    )  # fmt: skip
    sessions, users = row.sessions, row.users
    if added is not None:
        first, last_id = min(first, added.first), max(last_id, added.last_id)
        first_us, last_us, events = min(first_us, added.first_us), max(last_us, added.last_us), events + added.events
        sessions += len(added.sessions) - _known(row.fingerprint, "session", added.sessions)
        users += len(added.users) - _known(row.fingerprint, "user", added.users)
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


def _known(fingerprint: str, kind: str, names: frozenset[str]) -> int:
    return ErrorGroupMember.objects.filter(fingerprint=fingerprint, kind=kind, name__in=names).count()


def group_of_summary(summary: ErrorGroupSummary) -> ErrorGroupRecord:
    """The group, as far as this says."""
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
