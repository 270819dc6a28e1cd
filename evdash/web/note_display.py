"""Notes as the pages show them."""

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
from evdash.web.markdown import markdown

SHOWN: Final = 100
"""So many notes are on a session's page; the rest is on the pages of its events and in its exports."""


@dataclass(frozen=True, slots=True)
class VersionView:
    """What a note said for a while."""

    html: SafeString
    written_at: datetime


@dataclass(frozen=True, slots=True)
class NoteView:
    """What templates/note_display/_note.html shows of a note."""

    record: NoteRecord
    html: SafeString
    element_id: str
    address: str  # its own page, where it is changed and its former versions are
    entry_address: str  # the event's page, where it stands among a session's notes; else ""
    is_own: bool  # of the person who looks

    @property
    def former(self) -> tuple[VersionView, ...]:
        """What it said before, newest first."""
        return tuple(VersionView(markdown(v.text), v.written_at) for v in reversed(self.record.versions[:-1]))


@dataclass(frozen=True, slots=True)
class NotesSection:
    """What templates/note_display/_notes.html shows: notes, and the form for a new one."""

    notes: tuple[NoteView, ...]
    more: int  # there are so many more
    address: str  # new ones are sent there
    of_session: bool
    text: str = ""  # what was typed and not taken
    problem: str = ""  # why

    text_chars: int = TEXT_CHARS


def notes_section(
    subject: Subject, user: AbstractUser | AnonymousUser, *, text: str = "", problem: str = ""
) -> NotesSection:
    """The notes on an entry, or on a session and its events."""
    of_session = subject.entry_id is None
    if of_session:
        found = notes_of_session(subject.session_id, limit=SHOWN)
        notes, total = found.notes, found.total
    else:
        notes = notes_on(subject)
        total = len(notes)
    return NotesSection(
        notes=note_views(notes, user, among_session=of_session),
        more=total - len(notes),
        address=notes_address(subject.session_id, subject.stream, subject.entry_id),
        of_session=of_session,
        text=text,
        problem=problem,
    )


def note_views(
    notes: Iterable[NoteRecord], user: AbstractUser | AnonymousUser, *, among_session: bool
) -> tuple[NoteView, ...]:
    """These notes; among a session's, those on an event say so."""
    return tuple(note_view(note, user, among_session=among_session) for note in notes)


def note_view(note: NoteRecord, user: AbstractUser | AnonymousUser, *, among_session: bool) -> NoteView:
    """One note."""
    return NoteView(
        record=note,
        html=markdown(note.text),
        element_id=_element_id(note, among_session=among_session),
        address=reverse("note", kwargs={"number": note.number}),
        entry_address=subject_address(note.subject) if among_session and note.subject.entry_id else "",
        is_own=note.author_id == user.pk,
    )


def note_place(note: NoteRecord) -> str:
    """The note where it stands on the page of what it is on."""
    return f"{subject_address(note.subject)}#{_element_id(note, among_session=note.subject.entry_id is None)}"


def _element_id(note: NoteRecord, *, among_session: bool) -> str:
    # A note on an event may stand twice on its session's page: there, and in the event's opened row.
    return f"{'note' if among_session else 'event-note'}-{note.number}"


def subject_address(subject: Subject) -> str:
    """The page of what a note is on."""
    if subject.entry_id is not None:
        return event_address(subject.stream, subject.entry_id)
    return session_address(subject.session_id)
