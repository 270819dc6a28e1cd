"""A note as others read it: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from evdash.events.entry import EntryId
from evdash.events.event import Event


@dataclass(frozen=True, slots=True)
class Subject:
    """What a note is on: a session, or an entry (`stream` and `entry_id`) and then the session that it belongs to."""

    session_id: str
    stream: str = ""
    entry_id: EntryId | None = None

    @classmethod
    def of(cls, event: Event) -> Subject:
        return cls(event.session_id, event.stream, event.entry_id)

    def __str__(self) -> str:
        return f"session {self.session_id}" if self.entry_id is None else f"entry {self.entry_id} of {self.stream}"


@dataclass(frozen=True, slots=True)
class Version:
    """What a note said from `written_at` on."""

    text: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """One note with all that it ever said; of a deleted one only that it was there."""

    number: int
    subject: Subject
    author: str
    author_id: int
    written_at: datetime
    deleted_at: datetime | None
    versions: tuple[Version, ...]  # oldest first

    @property
    def text(self) -> str:
        """What it says; "" when it is deleted."""
        return self.versions[-1].text if self.versions else ""

    @property
    def edited_at(self) -> datetime | None:
        """When it was changed last; None for a note that is as it was first written."""
        return self.versions[-1].written_at if len(self.versions) > 1 else None


@dataclass(frozen=True, slots=True)
class SessionNotes:
    """Notes on a session and on its events."""

    notes: tuple[NoteRecord, ...]  # oldest first
    total: int  # there may be more than were asked for
