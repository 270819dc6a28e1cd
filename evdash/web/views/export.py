"""The events of a filter, all of them, for programs and spreadsheets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from evdash.accounts.tokens import token_or_session
from evdash.eventlog.export import csv_lines, ndjson_lines
from evdash.events.filter import EventFilter, FilterError
from evdash.streams.client import StreamsUnavailable
from evdash.web.paging import parameters
from evdash.web.parameters import refuse_unknown


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
        # A misspelt condition that is passed over would give away everything.
        refuse_unknown(request.GET)
        event_filter = EventFilter.from_query(parameters(request.GET))
    except FilterError as error:
        return HttpResponse(f"{error}\n", status=400, content_type="text/plain; charset=utf-8")
    try:
        chunks = lines(event_filter)
    except StreamsUnavailable as outage:
        return HttpResponse(f"{outage}\n", status=503, content_type="text/plain; charset=utf-8")
    response = streamed(request, chunks, content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def streamed(request: HttpRequest, chunks: Iterator[bytes], content_type: str) -> StreamingHttpResponse:
    """A response that sends each chunk when it is made; no cache keeps it."""
    # Under ASGI Django would gather an ordinary iterator in memory before it sends the first byte.
    one_by_one = _one_by_one(chunks) if isinstance(request, ASGIRequest) else chunks
    response = StreamingHttpResponse(one_by_one, content_type=content_type)
    response["Cache-Control"] = "private, no-store"
    return response


async def _one_by_one(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each chunk made in Django's thread, as the one before it is on its way."""
    next_chunk = sync_to_async(lambda: next(chunks, None))
    while (chunk := await next_chunk()) is not None:
        yield chunk
