"""Exports of the sessions or users of a list, for programs and spreadsheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from evdash.accounts.tokens import token_or_session
from evdash.eventlog.summary_export import summary_csv, summary_ndjson
from evdash.events.filters.event_filter import FilterError
from evdash.events.filters.summary_filter import SESSIONS, USERS, Selection, SummaryKind
from evdash.streams.client import StreamsUnavailable
from evdash.web.event_list.list_query import InvalidQuery
from evdash.web.pages.exports import download
from evdash.web.summary_list.query import SelectionQuery


@token_or_session("export")
def sessions_ndjson(request: HttpRequest) -> HttpResponseBase:
    """Export one JSON object per session."""
    return _exported(request, SESSIONS, summary_ndjson, "NDJSON", "application/x-ndjson")


@token_or_session("export")
def sessions_csv(request: HttpRequest) -> HttpResponseBase:
    """Export one row per session, for spreadsheets."""
    return _exported(request, SESSIONS, summary_csv, "CSV", "text/csv; charset=utf-8")


@token_or_session("export")
def users_ndjson(request: HttpRequest) -> HttpResponseBase:
    """Export one JSON object per user."""
    return _exported(request, USERS, summary_ndjson, "NDJSON", "application/x-ndjson")


@token_or_session("export")
def users_csv(request: HttpRequest) -> HttpResponseBase:
    """Export one row per user, for spreadsheets."""
    return _exported(request, USERS, summary_csv, "CSV", "text/csv; charset=utf-8")


def _exported(
    request: HttpRequest,
    kind: SummaryKind,
    lines: Callable[[Selection], Iterator[bytes]],
    form: str,
    content_type: str,
) -> HttpResponseBase:
    try:
        selection = SelectionQuery.from_request(request, kind).selection
        chunks = lines(selection)
    except (FilterError, InvalidQuery) as error:
        return HttpResponse(f"{error}\n", status=400, content_type="text/plain; charset=utf-8")
    except StreamsUnavailable as outage:
        return HttpResponse(f"{outage}\n", status=503, content_type="text/plain; charset=utf-8")
    return download(
        request, lambda _: chunks, selection, form, content_type, f"{kind.noun}s.{form.lower()}", noun=kind.noun
    )
