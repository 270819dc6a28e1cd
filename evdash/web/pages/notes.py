"""Notes: written on the page of their subject, changed and deleted on a page of their own."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.records import Coverage
from evdash.events.entry import EntryId
from evdash.notes.reading import find_note, notes_on
from evdash.notes.records import NoteRecord, Subject
from evdash.notes.writing import TEXT_CHARS, NoteRefused, delete_note, edit_note, write_note
from evdash.web.error_pages import message_page, not_found_page
from evdash.web.note_display import note_place, note_view, notes_section, subject_address
from evdash.web.page import page


def session_notes(request: HttpRequest, session_id: str) -> HttpResponse:
    """Render the notes on a session and its events as a page; POST adds one to the session."""
    with open_reader() as reader:
        is_known = reader.session(session_id) is not None
        coverage = reader.coverage
    subject = Subject(session_id)
    if not is_known and (request.method == "POST" or not notes_on(subject)):
        return not_found_page(request, reader, "session", session_id)
    return _notes(request, subject, coverage)


def event_notes(request: HttpRequest, stream: str, entry_id: EntryId) -> HttpResponse:
    """Render the notes on an entry as a page; POST adds one."""
    with open_reader() as reader:
        event = reader.event(stream, entry_id)
        coverage = reader.coverage
    subject = Subject.of(event) if event else Subject("", stream, entry_id)
    if event is None and (request.method == "POST" or not notes_on(subject)):
        sentence = "The entry is not in the event log or the stream, and has no notes."
        return message_page(
            request, "Entry not found", sentence, status=404, coverage=coverage, subject=f"{entry_id} of {stream}"
        )
    return _notes(request, subject, coverage)


def _notes(request: HttpRequest, subject: Subject, coverage: Coverage) -> HttpResponse:
    text = problem = ""
    if request.method == "POST":
        text = request.POST.get("text", "")
        try:
            written = write_note(_person(request), subject, text)
        except NoteRefused as refusal:
            problem = f"Note not saved. {refusal}"
        else:
            text = ""
            if not request.htmx:  # type: ignore[attr-defined]
                return redirect(note_place(written))
    section = notes_section(subject, request.user, text=text, problem=problem)
    status = 400 if problem else 200
    if request.method == "POST" and request.htmx:  # type: ignore[attr-defined]
        response = render(request, "note_display/_notes.html", {"notes": section}, status=status)
        response["Cache-Control"] = "private, no-store"
        return response
    context = {"notes": section, "subject": subject, "subject_address": subject_address(subject)}
    return page(request, "pages/notes/list.html", f"Notes on {subject}", context, coverage=coverage, status=status)


def note(request: HttpRequest, number: int) -> HttpResponse:
    """Render one note with its earlier versions; POST changes its text."""
    record = find_note(number)
    if record is None:
        return _no_such_note(request, number)
    if request.method != "POST":
        return _note(request, record, record.text)
    text, seen = request.POST.get("text", ""), request.POST.get("seen", "")
    try:
        edit_note(_person(request), record, text, seen=int(seen) if seen.isdecimal() and len(seen) < 9 else 0)
    except NoteRefused as refusal:
        return _note(request, find_note(number) or record, text, f"Note not changed. {refusal}")
    return redirect(note_place(record))


@require_POST
def note_deleted(request: HttpRequest, number: int) -> HttpResponse:
    """Delete the note, and redirect to its former place."""
    record = find_note(number)
    if record is None:
        return _no_such_note(request, number)
    try:
        delete_note(_person(request), record)
    except NoteRefused as refusal:
        return _note(request, record, record.text, f"Note not deleted. {refusal}")
    return redirect(note_place(record))


def _note(request: HttpRequest, record: NoteRecord, text: str, problem: str = "") -> HttpResponse:
    with open_reader() as reader:
        coverage = reader.coverage
    context = {
        "note": note_view(record, request.user, among_session=False),
        "subject_address": subject_address(record.subject),
        "place": note_place(record),
        "of_session": record.subject.entry_id is None,
        "text": text,
        "text_chars": TEXT_CHARS,
        "problem": problem,
    }
    status = 409 if problem else 200
    return page(
        request, "pages/notes/note.html", f"Note on {record.subject}", context, coverage=coverage, status=status
    )


def _no_such_note(request: HttpRequest, number: int) -> HttpResponse:
    return message_page(request, "Note not found", "No note has this number.", status=404, subject=str(number))


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)
