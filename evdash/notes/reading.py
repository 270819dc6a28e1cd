"""Queries of notes."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import QuerySet

from evdash.notes.models import Note
from evdash.notes.records import NoteRecord, SessionNotes, Subject, Version

_AT_ONCE = 200


def find_note(number: int) -> NoteRecord | None:
    """Return the note of this number, even a deleted one; None without one."""
    return next(iter(_records(Note.objects.filter(pk=number))), None)


def notes_on(subject: Subject) -> tuple[NoteRecord, ...]:
    """Return the notes on exactly this subject, oldest first, including deleted ones."""
    if subject.entry_id is None:
        rows = Note.objects.filter(session_id=subject.session_id, stream="")
    else:
        rows = Note.objects.filter(stream=subject.stream, entry_id=subject.entry_id)
    return _records(rows)


def notes_of_session(session_id: str, *, limit: int) -> SessionNotes:
    """Return the first `limit` notes on a session and on its events, and the number of all."""
    rows = Note.objects.filter(session_id=session_id)
    notes = _records(rows[:limit])
    return SessionNotes(notes, len(notes) if len(notes) < limit else rows.count())


def all_notes_of_session(session_id: str) -> Iterator[NoteRecord]:
    """Yield every note on a session and on its events, oldest first, with only some in memory at a time."""
    last = 0
    while notes := _records(Note.objects.filter(session_id=session_id, pk__gt=last)[:_AT_ONCE]):
        yield from notes
        last = notes[-1].number


def _records(rows: QuerySet[Note]) -> tuple[NoteRecord, ...]:
    return tuple(
        NoteRecord(
            number=note.pk,
            subject=Subject(note.session_id, note.stream, note.entry_id if note.stream else None),
            author=note.author.get_username(),
            author_id=note.author.pk,
            written_at=note.written_at,
            deleted_at=note.deleted_at,
            versions=tuple(Version(version.text, version.written_at) for version in note.versions.all()),
        )
        for note in rows.select_related("author").prefetch_related("versions")
    )
