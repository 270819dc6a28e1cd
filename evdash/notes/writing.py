"""Changes of notes: each one by its author, in one transaction with its row in the audit log."""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from evdash.audit_log.audit_log import record
from evdash.notes.models import Note, NoteVersion
from evdash.notes.reading import find_note, notes_on
from evdash.notes.records import NoteRecord, Subject

TEXT_CHARS: Final = 10_000
NOTES_ON_ONE: Final = 100
VERSIONS: Final = 50


class NoteRefused(Exception):
    """Rejected change of a note. The message is a sentence with the reason."""


def write_note(author: User, subject: Subject, text: str) -> NoteRecord:
    """Store a new note and return it. Raise NoteRefused.

    Browsers may send a form twice. If the author's last note here has the same text, return that note.
    """
    text = _checked(text)
    with transaction.atomic():
        before = notes_on(subject)
        own = [note for note in before if note.author_id == author.pk and note.deleted_at is None]
        if own and own[-1].text == text:
            return own[-1]
        if len(before) >= NOTES_ON_ONE:
            raise NoteRefused(
                f"At most {NOTES_ON_ONE} notes, including deleted ones, are allowed on one session or event."
            )
        note = Note(session_id=subject.session_id, stream=subject.stream, author=author)
        if subject.entry_id is not None:
            note.entry_id = subject.entry_id
        note.save()
        NoteVersion.objects.create(note=note, text=text, written_at=note.written_at)
        return _recorded(author, note.pk, subject, "Added", "Added.")


def edit_note(author: User, note: NoteRecord, text: str, *, seen: int) -> NoteRecord:
    """Add this text as a new version of the note. Earlier versions are kept.

    `seen`: the number of versions that the author has seen. Raise NoteRefused.
    """
    text = _checked(text)
    with transaction.atomic():
        now = _own(author, note.number)
        if now.text == text:
            return now
        if len(now.versions) != seen:
            raise NoteRefused("The note changed in another window. Review it, then edit again.")
        if seen >= VERSIONS:
            raise NoteRefused(f"The note has {VERSIONS} versions, which is the limit. Add a new note.")
        NoteVersion.objects.create(note_id=note.number, text=text)
        return _recorded(author, note.number, note.subject, "Edited", f"Edited: version {seen + 1}.")


def delete_note(author: User, note: NoteRecord) -> None:
    """Erase the text of the note, in all its versions. Raise NoteRefused.

    The existence of the note, its author and its deletion time are kept.
    """
    with transaction.atomic():
        _own(author, note.number)
        NoteVersion.objects.filter(note_id=note.number).delete()
        Note.objects.filter(pk=note.number).update(deleted_at=timezone.now())
        _recorded(author, note.number, note.subject, "Deleted", "Deleted, with all versions.")


def _checked(text: str) -> str:
    # Browsers send CRLF. PostgreSQL rejects NUL.
    text = text.replace("\r\n", "\n").replace("\x00", "\ufffd").strip()
    if not text:
        raise NoteRefused("The note is empty.")
    if len(text) > TEXT_CHARS:
        raise NoteRefused(f"The note has {len(text):,} characters; the limit is {TEXT_CHARS:,}.")
    return text


def _own(author: User, number: int) -> NoteRecord:
    """Return the note in its current state, locked until the transaction ends.

    Raise NoteRefused if it is deleted or has another author.
    """
    Note.objects.select_for_update().filter(pk=number).first()
    note = find_note(number)
    if note is None or note.deleted_at is not None:
        raise NoteRefused("The note is deleted.")
    if note.author_id != author.pk:
        raise NoteRefused(f"Only the author {note.author} can edit or delete this note.")
    return note


def _recorded(author: User, number: int, subject: Subject, verb: str, outcome: str) -> NoteRecord:
    article = "a" if verb == "Added" else "the"
    arguments = {"note": number, "session": subject.session_id, "entry": subject.entry_id}
    detail = {"title": f"{verb} {article} note on {subject}", "asked": arguments}
    record(author.get_username(), "note", user=author, stream=subject.stream, detail=detail, outcome=outcome)
    note = find_note(number)
    assert note is not None, "written in this transaction"  # noqa: S101
    return note
