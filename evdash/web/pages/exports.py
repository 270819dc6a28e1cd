"""Exports of all events of a filter, for programs and spreadsheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.http import content_disposition_header

from evdash.accounts.tokens import refused_by_patterns, token_or_session, used_token
from evdash.audit_log.export_log import Exported, recorded_export
from evdash.eventlog.export import csv_lines, ndjson_lines
from evdash.events.filters.event_filter import EventFilter, FilterError
from evdash.streams.client import StreamsUnavailable
from evdash.web.downloads import Download
from evdash.web.error_pages import database_problem
from evdash.web.event_list.list_query import ExportQuery
from evdash.web.sandbox_middleware import sandbox_request


@token_or_session("read", "export", checks_patterns=True)
def ndjson(request: HttpRequest) -> HttpResponseBase:
    """Export one JSON object per line, lossless."""
    return _exported(request, ndjson_lines, "NDJSON", "application/x-ndjson", "events.ndjson")


@token_or_session("export", checks_patterns=True)
def csv(request: HttpRequest) -> HttpResponseBase:
    """Export one row per event, for spreadsheets."""
    return _exported(request, csv_lines, "CSV", "text/csv; charset=utf-8", "events.csv")


def _exported(
    request: HttpRequest, lines: Callable[[EventFilter], Iterator[bytes]], form: str, content_type: str, name: str
) -> HttpResponseBase:
    try:
        event_filter = ExportQuery.from_request(request).filter
    except FilterError as error:
        return HttpResponse(f"{error}\n", status=400, content_type="text/plain; charset=utf-8")
    if refused := refused_by_patterns(request, event_filter, in_sandbox=sandbox_request(request) is not None):
        return refused
    try:
        chunks = lines(event_filter)
    except StreamsUnavailable as outage:
        return HttpResponse(f"{outage}\n", status=503, content_type="text/plain; charset=utf-8")
    return download(request, chunks, Exported.events(event_filter), form, content_type, name)


def download(
    request: HttpRequest, chunks: Iterator[bytes], what: Exported, form: str, content_type: str, name: str
) -> HttpResponseBase:
    """Return a response that sends each chunk when it is made, as a file with this name.

    The audit log records the export. The response is 503 if the audit log cannot be written.
    """
    user = request.user if request.user.is_authenticated else None
    mount = sandbox_request(request)

    def recorded(pieces: Iterator[bytes]) -> Iterator[bytes]:
        sandbox = mount.stream if mount else ""
        return recorded_export(who_asks(request), what, form, pieces, user=user, sandbox=sandbox)

    try:
        response = Download(chunks, form, recorded=recorded, content_type=content_type)
    except DatabaseError as error:
        sentence = f"The audit log cannot be written, so nothing is given out. {database_problem(error)}\n"
        return HttpResponse(sentence, status=503, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "private, no-store"
    response["Content-Disposition"] = content_disposition_header(True, name)
    return response


def who_asks(request: HttpRequest) -> str:
    """Return the name of the person, or the program by its token."""
    if request.user.is_authenticated:
        return request.user.get_username()
    token = used_token(request)
    return f"the program with the token {token.name}" if token else "a program"
