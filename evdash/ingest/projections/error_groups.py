"""The debug projection: groups of equal errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from evdash.eventlog.bulk import existing, insert, upsert
from evdash.eventlog.models import ErrorGroup, ErrorGroupMember
from evdash.events.deduplication import CountChange
from evdash.events.error_groups import error_groups_of
from evdash.events.event import Event
from evdash.ingest.projections.base import CountingProjection

_COLUMNS: Final = (
    "fingerprint", "type", "code", "tool", "masked", "first_stream", "first_id", "last_id", "first_us", "last_us",
    "events", "sessions", "users",
)  # fmt: skip
_MEMBER: Final = ("fingerprint", "kind", "name")


class DebugProjection(CountingProjection):
    """Groups of equal errors, with the sessions and users that they affected."""

    name = "debug"

    def _has_effect(self, event: Event) -> bool:
        return event.is_error

    def _add(self, changed: Sequence[CountChange], numbers: Mapping[str, int]) -> None:
        groups = error_groups_of(changed)
        if not groups:
            return
        sessions = _add_members("session", {key: group.sessions for key, group in groups.items()})
        users = _add_members("user", {key: group.users for key, group in groups.items()})
        _add_members("unnamed", {key: group.unnamed for key, group in groups.items()})
        existing_rows = {row.fingerprint: row for row in ErrorGroup.objects.filter(fingerprint__in=groups)}
        rows = []
        for fingerprint, group in groups.items():
            row = existing_rows.get(fingerprint)
            if row is None:
                first, last_id, first_us, last_us, events = (
                    group.first, group.last_id, group.first_us, group.last_us, group.events,
                )  # fmt: skip
            else:
                first = min(group.first, (row.first_id, row.first_stream))
                last_id = max(group.last_id, row.last_id)
                first_us = min(group.first_us, row.first_us)
                last_us = max(group.last_us, row.last_us)
                events = group.events + row.events
            rows.append((
                fingerprint, group.type, group.code, group.tool, group.masked, first[1], first[0].to_bytes(),
                last_id.to_bytes(), first_us, last_us, events,
                sessions[fingerprint] + (row.sessions if row else 0), users[fingerprint] + (row.users if row else 0),
            ))  # fmt: skip
        upsert(ErrorGroup, _COLUMNS, rows, key=("fingerprint",))

    def _clear(self) -> None:
        super()._clear()
        ErrorGroup.objects.all().delete()
        ErrorGroupMember.objects.all().delete()


def _add_members(kind: str, hit: Mapping[str, frozenset[str]]) -> Counter[str]:
    """Add the new members and return how many sessions or users each group affected for the first time."""
    named = [(fingerprint, kind, name) for fingerprint, names in hit.items() for name in names]
    existing_members = existing(ErrorGroupMember, _MEMBER, named)
    new = [member for member in named if member not in existing_members]
    insert(ErrorGroupMember, _MEMBER, new)
    return Counter(fingerprint for fingerprint, _, _ in new)
