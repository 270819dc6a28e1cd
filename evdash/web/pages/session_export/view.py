"""Exports of a session: a transcript, or one HTML file that opens anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from evdash.accounts.tokens import token_or_session
from evdash.audit_log.export_log import Exported
from evdash.events.filters.event_filter import EventFilter
from evdash.streams.client import StreamsUnavailable
from evdash.web.links import session_address
from evdash.web.pages.exports import download, who_asks
from evdash.web.pages.session_export.export import SessionExport, SessionUnknown, session_export
from evdash.web.pages.session_export.html_file import html_file
from evdash.web.pages.session_export.transcript import transcript


@token_or_session("export")
def session_transcript(request: HttpRequest, session_id: str) -> HttpResponseBase:
    """Export the session as Markdown."""
    return _exported(request, session_id, transcript, "transcript", "text/markdown; charset=utf-8", "md")


@token_or_session("export")
def session_export_html(request: HttpRequest, session_id: str) -> HttpResponseBase:
    """Export the session as one HTML file.

    The response is always a download. As a page of evdash's own it would have evdash's rights.
    """
    return _exported(request, session_id, html_file, "HTML file", "text/html; charset=utf-8", "html")


def _exported(
    request: HttpRequest,
    session_id: str,
    write: Callable[[SessionExport], Iterator[bytes]],
    form: str,
    content_type: str,
    ending: str,
) -> HttpResponseBase:
    address = request.build_absolute_uri(session_address(session_id))
    try:
        export = session_export(session_id, who_asks(request), address=address, with_picture=ending == "html")
        pieces = write(export)
    except SessionUnknown as unknown:
        return HttpResponse(f"{unknown}\n", status=404, content_type="text/plain; charset=utf-8")
    except StreamsUnavailable as outage:
        return HttpResponse(f"{outage}\n", status=503, content_type="text/plain; charset=utf-8")
    within = EventFilter().also("session", session_id)
    return download(request, pieces, Exported.events(within), form, content_type, f"{export.file_stem}.{ending}")
