"""The events of a filter, all of them, for programs and spreadsheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from evdash.accounts.tokens import token_or_session
from evdash.eventlog.export import csv_lines, ndjson_lines
from evdash.events.filter import EventFilter, FilterError
from evdash.web.paging import parameters


@token_or_session
def ndjson(request: HttpRequest) -> HttpResponseBase:
    """One JSON object a line, lossless."""
    return _exported(request, ndjson_lines, "application/x-ndjson", "events.ndjson")


@token_or_session
def csv(request: HttpRequest) -> HttpResponseBase:
    """One row an event, for spreadsheets."""
    return _exported(request, csv_lines, "text/csv; charset=utf-8", "events.csv")


def _exported(
    request: HttpRequest, lines: Callable[[EventFilter], Iterator[bytes]], content_type: str, name: str
) -> HttpResponseBase:
    try:
        event_filter = EventFilter.from_query(parameters(request.GET))
    except FilterError as error:
        return HttpResponse(f"{error}\n", status=400, content_type="text/plain; charset=utf-8")
    response = StreamingHttpResponse(lines(event_filter), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response
