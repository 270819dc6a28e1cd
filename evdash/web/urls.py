"""URL routes of the pages, and the view of each page of the registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpResponseBase
from django.urls import path, register_converter
from django.views.generic import RedirectView

from evdash.web.links import EntryIdConverter, IdentifierConverter, NameConverter, OpaqueConverter
from evdash.web.pages.audit_log import audit_log, audit_log_csv, audit_log_entry, audit_log_ndjson
from evdash.web.pages.compare.sets import compare_sets
from evdash.web.pages.compare.view import compare
from evdash.web.pages.completions import completions
from evdash.web.pages.errors import error_group, errors
from evdash.web.pages.event import event
from evdash.web.pages.events import events, live
from evdash.web.pages.exports import csv, ndjson
from evdash.web.pages.notes import event_notes, note, note_deleted, session_notes
from evdash.web.pages.overview import overview
from evdash.web.pages.palette import palette
from evdash.web.pages.registry import PAGES
from evdash.web.pages.saved_views import saved_view, saved_view_deleted, saved_views
from evdash.web.pages.search import search
from evdash.web.pages.session.view import session
from evdash.web.pages.session_export.view import session_export_html, session_transcript
from evdash.web.pages.sessions import sessions
from evdash.web.pages.status import status
from evdash.web.pages.streams.forms import OperationConverter
from evdash.web.pages.streams.forms.sandboxes import SandboxOperationConverter
from evdash.web.pages.streams.operations import sandbox_operation, stream_operation
from evdash.web.pages.streams.view import stream_group, stream_parked, streams
from evdash.web.pages.summary_exports import sessions_csv, sessions_ndjson, users_csv, users_ndjson
from evdash.web.pages.user import user
from evdash.web.pages.user_export import user_export_html
from evdash.web.pages.users import users

register_converter(OpaqueConverter, "opaque")
register_converter(IdentifierConverter, "identifier")
register_converter(NameConverter, "name")
register_converter(OperationConverter, "operation")
register_converter(SandboxOperationConverter, "sandbox_operation")
register_converter(EntryIdConverter, "entry_id")

VIEWS: Final[dict[str, Callable[..., HttpResponseBase]]] = {
    "overview": overview,
    "live": live,
    "sessions": sessions,
    "session": session,
    "session-notes": session_notes,
    "session-transcript": session_transcript,
    "session-export-html": session_export_html,
    "compare": compare,
    "compare-sets": compare_sets,
    "users": users,
    "user": user,
    "user-export-html": user_export_html,
    "errors": errors,
    "error-group": error_group,
    "events": events,
    "event": event,
    "event-notes": event_notes,
    "search": search,
    "events-ndjson": ndjson,
    "events-csv": csv,
    "sessions-ndjson": sessions_ndjson,
    "sessions-csv": sessions_csv,
    "users-ndjson": users_ndjson,
    "users-csv": users_csv,
    "note": note,
    "note-delete": note_deleted,
    "saved-views": saved_views,
    "saved-view": saved_view,
    "saved-view-delete": saved_view_deleted,
    "streams": streams,
    "stream-operation": stream_operation,
    "stream-group": stream_group,
    "sandbox-operation": sandbox_operation,
    "stream-parked": stream_parked,
    "audit-log": audit_log,
    "audit-log-ndjson": audit_log_ndjson,
    "audit-log-csv": audit_log_csv,
    "audit-log-entry": audit_log_entry,
    "status": status,
    "completions": completions,
    "palette": palette,
}
"""The view of each page."""

urlpatterns = [
    *(path(page.route, VIEWS[page.name], name=page.name) for page in PAGES),
    # The former addresses of the audit log.
    path("access-log/", RedirectView.as_view(pattern_name="audit-log", query_string=True, permanent=True)),
    path("access-log/<int:number>/", RedirectView.as_view(pattern_name="audit-log-entry", permanent=True)),
]
