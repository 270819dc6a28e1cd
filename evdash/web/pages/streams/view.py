"""Streams: the pages of streams, consumer groups, pending entries and dead-lettered entries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from evdash.accounts.roles import can_operate
from evdash.eventlog.current_reader import open_reader
from evdash.health.current import current_health
from evdash.streams.client import StreamsUnavailable, open_client, shown_address
from evdash.streams.consumer_group import GroupMissing
from evdash.streams.dead_letters import parked_count, parked_entries
from evdash.streams.stream_info import stream_info
from evdash.web.error_pages import handles_invalid_query, message_page
from evdash.web.event_list.list_query import EntryCursorQuery
from evdash.web.event_list.pagination import newest
from evdash.web.health_panel import streams_panel
from evdash.web.page import page
from evdash.web.pages.streams.sandboxes import sandbox_views
from evdash.web.pages.streams.stream import (
    ROWS,
    PendingQuery,
    ages,
    consumer_list,
    gap_list,
    group_view,
    parked_rows,
    pending_list,
    stream_view,
)


def streams(request: HttpRequest) -> HttpResponse:
    """Render every configured stream as of now."""
    with open_reader() as reader, open_client(settings.EVDASH.redis_url) as client:
        views = [stream_view(client, name) for name in settings.EVDASH.streams]
        views.sort(key=lambda view: -len(view.marks))  # streams with problems first, else as configured
        context = {
            "streams": views,
            "has_answered": not any(view.problem for view in views),
            "unreachable": reader.unreachable,
            "sandboxes": sandbox_views(client),
            "read_at": datetime.now(UTC),
            "server": shown_address(settings.EVDASH.redis_url),
            "can_operate": can_operate(request.user),
            "health": streams_panel(current_health()),
        }
        newest_events = newest(reader)
        coverage = replace(reader.coverage, notes=())  # a stream that cannot be read is a health condition
        return page(request, "pages/streams/list.html", "Streams", context, coverage=coverage, events=newest_events)


@handles_invalid_query
def stream_group(request: HttpRequest, stream: str, group: str) -> HttpResponse:
    """Render one group: its consumers, pending entries, gaps and operations."""
    query = PendingQuery.from_request(request, stream, group)
    if stream not in settings.EVDASH.streams:
        return no_such_stream(request, stream)
    with open_reader() as reader, open_client(settings.EVDASH.redis_url) as client:
        try:
            shown = group_view(client, stream, group)
            if shown is None:
                sentence = "This stream has no consumer group of this name. It was never created, or it was deleted."
                return message_page(request, "Group not found", sentence, status=404, subject=group)
            context = {
                "group": shown,
                "stream": stream,
                "stream_info": stream_info(client, stream),
                "gaps": gap_list(group, stream),
                "consumers": consumer_list(shown, query.consumers_skipped),
                "ages": ages(client, stream, group) if shown.info else None,
                "pending": pending_list(client, reader, stream, group, query) if shown.info else None,
                "can_operate": can_operate(request.user),
                "active_ms": settings.EVDASH.claim_idle_ms,
            }
        except (StreamsUnavailable, GroupMissing) as problem:
            return message_page(request, group, str(problem), status=503, coverage=reader.coverage)
        return page(request, "pages/streams/group.html", group, context, coverage=reader.coverage)


@handles_invalid_query
def stream_parked(request: HttpRequest, stream: str) -> HttpResponse:
    """Render the dead-lettered entries of a stream in the order of their parking."""
    query = EntryCursorQuery.from_request(request)
    if stream not in settings.EVDASH.streams:
        return no_such_stream(request, stream)
    with open_reader() as reader, open_client(settings.EVDASH.redis_url) as client:
        try:
            entries = parked_entries(client, stream, after=query.after, count=ROWS + 1)
            rows = parked_rows(client, stream, entries[:ROWS])
            number = parked_count(client, stream)
        except StreamsUnavailable as outage:
            return message_page(request, "Parked entries", str(outage), status=503, coverage=reader.coverage)
        context = {
            "stream": stream,
            "rows": rows,
            "number": number,
            "first": query.url() if query.after else "",
            "next": query.url(after=entries[ROWS - 1].parked_id) if len(entries) > ROWS else "",
            "can_operate": can_operate(request.user),
        }
        return page(request, "pages/streams/parked.html", "Parked entries", context, coverage=reader.coverage)


def no_such_stream(request: HttpRequest, stream: str) -> HttpResponse:
    """Return the 404 page for a stream that evdash does not show."""
    sentence = "This stream is not in EVDASH_STREAMS."
    return message_page(request, "Stream not found", sentence, status=404, subject=stream)
