"""Writing and reading of the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from evdash.audit_log.models import AuditLogEntry
from evdash.events.entry import EntryId
from evdash.events.text import without_nul

LISTED = 1000
"""Maximum number of list members that a row keeps. One more member counts the rest."""
REASON_MAX_CHARS = 1_000
"""Longest reason in characters. Operations refuse a longer one."""
TEXT_MAX_CHARS = 20_000
"""Longest other text of a row in characters. It is longer than any valid input, such as the filter of an export."""


@dataclass(frozen=True, slots=True)
class Access:
    """One action, built from its one or two rows."""

    begun: AuditLogEntry
    ended: AuditLogEntry | None  # None: the action has one row only, or evdash ended before the second one

    @property
    def title(self) -> str:
        """The action in words."""
        return str(self.begun.detail.get("title") or self.begun.action)

    @property
    def is_open(self) -> bool:
        """True if the action is still in progress, or evdash ended without an outcome."""
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
    """Add a row to the audit log.

    Raise the database's error if the row cannot be written. The caller must then not perform the action.
    """
    return AuditLogEntry.objects.create(
        who=_text(who),
        action=_text(action),
        user=user,
        stream=_text(stream),
        group=_text(group),
        detail=plain(detail or {}),
        reason=_text(reason, REASON_MAX_CHARS),
        before=plain(before or {}),
        after=plain(after or {}),
        outcome=_text(outcome),
        succeeded=succeeded,
        begun=begun,
    )


@dataclass(frozen=True, slots=True)
class AuditLogFilter:
    """A filter of the audit log. An empty value does not limit it."""

    who: str = ""  # exactly
    action: str = ""  # exactly
    object: str = ""  # a part of the stream, the group or the title, in any case

    def describe(self) -> str:
        """Return the filter in words: `audit log, person ada`."""
        names = (("person", self.who), ("action", self.action), ("object", self.object))
        return ", ".join(["audit log", *(f"{name} {value}" for name, value in names if value)])

    def text(self) -> str:
        """Return the filter as its conditions, separated by spaces."""
        conditions = (("who", self.who), ("action", self.action), ("object", self.object))
        return " ".join(f"{name}:{value}" for name, value in conditions if value)

    def rows(self) -> QuerySet[AuditLogEntry]:
        """Return the first rows of the actions, newest first."""
        rows = AuditLogEntry.objects.filter(begun=None).select_related("ended", "user")
        if self.who:
            rows = rows.filter(who=self.who)
        if self.action:
            rows = rows.filter(action=self.action)
        if self.object:
            part = self.object
            rows = rows.filter(Q(stream__icontains=part) | Q(group__icontains=part) | Q(detail__title__icontains=part))
        return rows


EVERYTHING: Final = AuditLogFilter()
KNOWN_ROWS: Final = 1_000


def recent(count: int, *, before_row: int | None = None, matching: AuditLogFilter = EVERYTHING) -> list[Access]:
    """Return the last `count` actions of a filter, newest first.

    With `before_row`, return only actions with a first row of a smaller number.
    """
    rows = matching.rows()
    if before_row is not None:
        rows = rows.filter(pk__lt=before_row)
    return [Access(row, getattr(row, "ended", None)) for row in rows[:count]]


def accesses_before(number: int, matching: AuditLogFilter) -> Iterator[Access]:
    """Yield the actions of a filter with a first row of a smaller number, oldest first, some in memory at a time."""
    for row in matching.rows().filter(pk__lt=number).order_by("pk").iterator(chunk_size=500):
        yield Access(row, getattr(row, "ended", None))


def known_values() -> tuple[list[str], list[str]]:
    """Return the persons and the actions of the newest KNOWN_ROWS rows, each in alphabetical order."""
    newest = list(AuditLogEntry.objects.values_list("who", "action")[:KNOWN_ROWS])
    return sorted({who for who, _ in newest}), sorted({action for _, action in newest})


def access(number: int) -> Access | None:
    """Return the action that begins with the row of this number, or None."""
    row = AuditLogEntry.objects.filter(begun=None, pk=number).select_related("ended", "user").first()
    return Access(row, getattr(row, "ended", None)) if row else None


def last_of(user: User) -> Access | None:
    """Return the last action of this person, or None."""
    row = AuditLogEntry.objects.filter(begun=None, user=user).select_related("ended", "user").first()
    return Access(row, getattr(row, "ended", None)) if row else None


def plain(value: Any) -> Any:
    """Return the value as JSON can represent it.

    Dataclasses become mappings. Entry IDs and values of unknown types become text.
    """
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


def _text(value: object, max_chars: int = TEXT_MAX_CHARS) -> str:
    """Return text that every database accepts, cut after `max_chars`. PostgreSQL refuses NUL, which becomes ␀.

    Lone surrogates are escaped. A cut text ends with the length of the whole text.
    """
    text = str(value)
    if len(text) > max_chars:
        text = f"{text[:max_chars]}… ({len(text):,} characters)"
    return without_nul(text).encode("utf-8", errors="backslashreplace").decode("utf-8")
