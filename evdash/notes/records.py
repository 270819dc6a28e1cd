"""Notes as plain values for other modules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from evdash.events.entry import EntryId
from evdash.events.event import Event


@dataclass(frozen=True, slots=True)
class Subject:
    """Subject of a note: a session, or an entry (`stream` and `entry_id`) and the session that it belongs to."""

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
    """Text of a note from `written_at` on."""

    text: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """One note with all its versions. A deleted note keeps none of them."""

    number: int
    subject: Subject
    author: str
    author_id: int
    written_at: datetime
    deleted_at: datetime | None
    versions: tuple[Version, ...]  # oldest first

    @property
    def text(self) -> str:
        """Current text; "" if the note is deleted."""
        return self.versions[-1].text if self.versions else ""

    @property
    def edited_at(self) -> datetime | None:
        """Time of the last change; None for a note that was never changed."""
        return self.versions[-1].written_at if len(self.versions) > 1 else None


@dataclass(frozen=True, slots=True)
class SessionNotes:
    """Notes on a session and on its events."""

    notes: tuple[NoteRecord, ...]  # oldest first
    total: int  # may be more than the requested limit
