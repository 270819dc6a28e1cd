"""Writing and reading the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from evdash.audit_log.models import AuditLogEntry
from evdash.events.entry import EntryId

LISTED = 1000
"""How many members of a list are kept in a row; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Access:
    """One thing that was done, out of its one or two rows."""

    begun: AuditLogEntry
    ended: AuditLogEntry | None  # None: it has one row only, or evdash ended before it was done

    @property
    def title(self) -> str:
        """What was done, in words."""
        return str(self.begun.detail.get("title") or self.begun.action)

    @property
    def is_open(self) -> bool:
        """Whether it is being done now, or was broken off without a word."""
        return self.ended is None and self.begun.succeeded is None

    @property
    def succeeded(self) -> bool:
        return bool((self.ended or self.begun).succeeded)

    @property
    def outcome(self) -> str:
        return "No outcome was recorded." if self.is_open else (self.ended or self.begun).outcome


def record(
    who: str,
    action: str,
    *,
    user: User | None = None,
    stream: str = "",
    group: str = "",
    detail: Mapping[str, Any] | None = None,
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    outcome: str = "",
    succeeded: bool | None = True,
    begun: AuditLogEntry | None = None,
) -> AuditLogEntry:
    """Add a row to the audit log. Raises a database's error when it cannot be written: then leave the thing undone."""
    return AuditLogEntry.objects.create(
        who=_text(who),
        action=_text(action),
        user=user,
        stream=_text(stream),
        group=_text(group),
        detail=plain(detail or {}),
        reason=_text(reason),
        before=plain(before or {}),
        after=plain(after or {}),
        outcome=_text(outcome),
        succeeded=succeeded,
        begun=begun,
    )


def recent(count: int, *, before_row: int | None = None) -> list[Access]:
    """What was done last, newest first; with `before_row`, what was begun before the row of that number."""
    rows = AuditLogEntry.objects.filter(begun=None).select_related("ended", "user")
    if before_row is not None:
        rows = rows.filter(pk__lt=before_row)
    return [Access(row, getattr(row, "ended", None)) for row in rows[:count]]


def access(number: int) -> Access | None:
    """What was begun with the row of that number."""
    row = AuditLogEntry.objects.filter(begun=None, pk=number).select_related("ended", "user").first()
    return Access(row, getattr(row, "ended", None)) if row else None


def last_of(user: User) -> Access | None:
    """What this person did last."""
    row = AuditLogEntry.objects.filter(begun=None, user=user).select_related("ended", "user").first()
    return Access(row, getattr(row, "ended", None)) if row else None


def plain(value: Any) -> Any:
    """The value as JSON can hold it: records as mappings, entry IDs and whatever else is unknown as text."""
    if isinstance(value, EntryId):
        return str(value)
    if isinstance(value, bytes):
        return _text(value.decode("utf-8", errors="backslashreplace"))
    if value is None or isinstance(value, bool | int | float | datetime):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_text(name): plain(member) for name, member in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str):
        members = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
        more = [f"and {len(members) - LISTED:,} more"] if len(members) > LISTED else []
        return [*map(plain, members[:LISTED]), *more]
    return _text(value)


def _text(value: object) -> str:
    """What every database takes: without NUL, which PostgreSQL refuses, and without halves of characters."""
    return str(value).replace("\x00", "\\x00").encode("utf-8", errors="backslashreplace").decode("utf-8")
