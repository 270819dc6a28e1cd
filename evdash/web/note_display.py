"""Notes in the form that pages show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.urls import reverse
from django.utils.safestring import SafeString

from evdash.notes.reading import notes_of_session, notes_on
from evdash.notes.records import NoteRecord, Subject
from evdash.notes.writing import TEXT_CHARS
from evdash.web.links import event_address, notes_address, session_address
from evdash.web.text_display.markdown import markdown

SHOWN: Final = 100
"""The number of notes on a session's page. Further notes are on the pages of its events and in its exports."""


@dataclass(frozen=True, slots=True)
class VersionView:
    """A former version of a note's text."""

    html: SafeString
    written_at: datetime


@dataclass(frozen=True, slots=True)
class NoteView:
    """A note in the context of templates/note_display/_note.html."""

    record: NoteRecord
    html: SafeString
    element_id: str
    address: str  # the note's own page, with its former versions and the form to change it
    entry_address: str  # the event's page, for an event's note among a session's notes; else ""
    is_own: bool  # True: the signed-in user wrote it

    @property
    def former(self) -> tuple[VersionView, ...]:
        """The former versions, newest first."""
        return tuple(VersionView(markdown(v.text), v.written_at) for v in reversed(self.record.versions[:-1]))


@dataclass(frozen=True, slots=True)
class NotesSection:
    """The context of templates/note_display/_notes.html: notes, and the form for a new one."""

    notes: tuple[NoteView, ...]
    more: int  # the number of notes beyond these
    address: str  # the form sends new notes to it
    of_session: bool
    label: str  # the subject, in words
    text: str = ""  # the submitted text if it was rejected
    problem: str = ""  # the reason for the rejection

    text_chars: int = TEXT_CHARS


def notes_section(
    subject: Subject, user: AbstractUser | AnonymousUser, *, text: str = "", problem: str = ""
) -> NotesSection:
    """Return the notes on an entry, or the first SHOWN notes on a session and its events."""
    of_session = subject.entry_id is None
    if of_session:
        session_notes = notes_of_session(subject.session_id, limit=SHOWN)
        notes, total = session_notes.notes, session_notes.total
    else:
        notes = notes_on(subject)
        total = len(notes)
    return NotesSection(
        notes=note_views(notes, user, among_session=of_session),
        more=total - len(notes),
        address=notes_address(subject.session_id, subject.stream, subject.entry_id),
        of_session=of_session,
        label="session" if of_session else f"event {subject.entry_id}",
        text=text,
        problem=problem,
    )


def note_views(
    notes: Iterable[NoteRecord], user: AbstractUser | AnonymousUser, *, among_session: bool
) -> tuple[NoteView, ...]:
    """Return the notes in display form. Among a session's notes, a note on an event links to the event."""
    return tuple(note_view(note, user, among_session=among_session) for note in notes)


def note_view(note: NoteRecord, user: AbstractUser | AnonymousUser, *, among_session: bool) -> NoteView:
    """Return one note in display form."""
    return NoteView(
        record=note,
        html=markdown(note.text),
        element_id=_element_id(note, among_session=among_session),
        address=reverse("note", kwargs={"number": note.number}),
        entry_address=subject_address(note.subject) if among_session and note.subject.entry_id else "",
        is_own=note.author_id == user.pk,
    )


def note_place(note: NoteRecord) -> str:
    """Return the address of the note on the page of its session or event."""
    return f"{subject_address(note.subject)}#{_element_id(note, among_session=note.subject.entry_id is None)}"


def _element_id(note: NoteRecord, *, among_session: bool) -> str:
    # A session's page may show an event's note twice: among its notes, and in the event's opened row.
    return f"{'note' if among_session else 'event-note'}-{note.number}"


def subject_address(subject: Subject) -> str:
    """Return the address of the session or event that a note is on."""
    if subject.entry_id is not None:
        return event_address(subject.stream, subject.entry_id)
    return session_address(subject.session_id)
