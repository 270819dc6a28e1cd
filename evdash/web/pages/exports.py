"""Exports of all events of a filter, for programs and spreadsheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.http import content_disposition_header

from evdash.accounts.tokens import refused_by_patterns, token_or_session, used_token
from evdash.audit_log.export_log import Described, begin_export, with_end_recorded
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
    return download(request, lambda _: chunks, event_filter, form, content_type, name)


def download(
    request: HttpRequest,
    pieces: Callable[[int], Iterator[bytes]],
    exported: Described,
    form: str,
    content_type: str,
    name: str,
    noun: str = "event",
) -> HttpResponseBase:
    """Return a response that sends each piece when it is made, as a file with this name.

    The audit log records the export. `pieces` takes the number of its row. The response is 503 if the audit log
    cannot be written. `noun` names what the file has.
    """
    user = request.user if request.user.is_authenticated else None
    mount = sandbox_request(request)
    try:
        begun = begin_export(
            who_asks(request), exported, form, user=user, sandbox=mount.stream if mount else "", noun=noun
        )
        recorded = partial(with_end_recorded, begun)
        response = Download(pieces(begun.pk), form, recorded=recorded, content_type=content_type)
    except DatabaseError as error:
        sentence = f"Not exported: the audit log is not writable. {database_problem(error)}\n"
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
