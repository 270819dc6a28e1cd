"""URL routes of the pages."""

from __future__ import annotations

from django.urls import path, register_converter
from django.views.generic import RedirectView

from evdash.web.links import EntryIdConverter, NameConverter, OpaqueConverter
from evdash.web.pages.audit_log import audit_log, audit_log_entry
from evdash.web.pages.compare.view import compare
from evdash.web.pages.event import event
from evdash.web.pages.events import errors, events, live
from evdash.web.pages.exports import csv, ndjson
from evdash.web.pages.notes import event_notes, note, note_deleted, session_notes
from evdash.web.pages.overview import overview
from evdash.web.pages.session.view import session
from evdash.web.pages.session_export.view import session_file, session_transcript
from evdash.web.pages.sessions import sessions
from evdash.web.pages.status import state
from evdash.web.pages.streams.forms import OperationConverter
from evdash.web.pages.streams.forms.sandboxes import SandboxOperationConverter
from evdash.web.pages.streams.operations import sandbox_operation, stream_operation
from evdash.web.pages.streams.view import stream_group, stream_parked, streams
from evdash.web.pages.users import user, users

register_converter(OpaqueConverter, "opaque")
register_converter(NameConverter, "name")
register_converter(OperationConverter, "operation")
register_converter(SandboxOperationConverter, "sandbox_operation")
register_converter(EntryIdConverter, "entry_id")

urlpatterns = [
    path("", overview, name="overview"),
    path("live/", live, name="live"),
    path("sessions/", sessions, name="sessions"),
    path("sessions/<opaque:session_id>/", session, name="session"),
    # Addresses of session pages end with a slash, so these cannot collide with a session ID.
    path("sessions/<opaque:session_id>/notes", session_notes, name="session-notes"),
    path("sessions/<opaque:session_id>/transcript.md", session_transcript, name="session-transcript"),
    path("sessions/<opaque:session_id>/export.html", session_file, name="session-file"),
    path("compare/", compare, name="compare"),
    path("events/", events, name="events"),
    path("events/<opaque:stream>/<entry_id:entry_id>/", event, name="event"),
    path("events/<opaque:stream>/<entry_id:entry_id>/notes", event_notes, name="event-notes"),
    path("notes/<int:number>/", note, name="note"),
    path("notes/<int:number>/delete", note_deleted, name="note-delete"),
    path("events.ndjson", ndjson, name="events-ndjson"),
    path("events.csv", csv, name="events-csv"),
    path("errors/", errors, name="errors"),
    path("users/", users, name="users"),
    path("users/<opaque:user_id>/", user, name="user"),
    path("streams/", streams, name="streams"),
    path("streams/operations/<operation:kind>/", stream_operation, name="stream-operation"),
    path("streams/<name:stream>/groups/<name:group>/", stream_group, name="stream-group"),
    path("streams/sandboxes/<sandbox_operation:kind>/", sandbox_operation, name="sandbox-operation"),
    path("streams/<name:stream>/parked/", stream_parked, name="stream-parked"),
    path("audit-log/", audit_log, name="audit-log"),
    path("audit-log/<int:number>/", audit_log_entry, name="audit-log-entry"),
    path("state/", state, name="state"),
    # The former addresses of the audit log.
    path("access-log/", RedirectView.as_view(pattern_name="audit-log", query_string=True, permanent=True)),
    path("access-log/<int:number>/", RedirectView.as_view(pattern_name="audit-log-entry", permanent=True)),
]
