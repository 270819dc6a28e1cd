"""Overview: the numbers, each with a link to its events."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from evdash.accounts.roles import can_operate
from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.latencies import OperationLatency
from evdash.events.filters.event_filter import EventFilter
from evdash.metrics import refused_lately
from evdash.web.charts.histogram import histogram_picture, not_drawn, shares
from evdash.web.event_display.row import rows_of
from evdash.web.event_list.filter_bar import filter_bar
from evdash.web.event_list.list_query import ScopedFilter, parse_filter
from evdash.web.event_list.pagination import link, newest
from evdash.web.links import page_address
from evdash.web.page import Notice, page
from evdash.web.sandbox_middleware import sandbox_request

SESSIONS_IN_SANDBOX: Final = 10


def overview(request: HttpRequest) -> HttpResponse:
    """Render totals, rate, error rate, sessions, users, types and the newest errors of a time range."""
    asked = parse_filter(request.GET)
    ranged = EventFilter(since=asked.own.since, until=asked.own.until)
    now = datetime.now(UTC)
    with open_reader() as reader:
        found = reader.overview(
            ranged.since.at(now) if ranged.since else None, ranged.until.at(now) if ranged.until else None
        )
        took = reader.latencies(found.since, found.until)
        newest_events = newest(reader)
        sessions = reader.sessions(limit=SESSIONS_IN_SANDBOX).sessions if sandbox_request(request) else ()
    events = reverse("events")

    def over(since: datetime, until: datetime) -> str:
        return link(events, ranged.between(since, until).query_string())

    context = {
        "found": found,
        "bar": filter_bar(
            ScopedFilter(ranged, asked.scope, asked.problem, ranged.text()),
            page_address(request),
            streams=reader.streams,
        ),
        "events_address": link(events, ranged.query_string()),
        "errors_address": link(reverse("errors"), ranged.query_string()),
        "histogram": histogram_picture(found.histogram.buckets, over, height=96),
        "histogram_base": events,
        "not_drawn": not_drawn(found.histogram.earlier, found.histogram.later, found.histogram.buckets),
        "types": shares(
            [(t.value, t.count, link(events, ranged.also("type", t.value).query_string())) for t in found.types]
        ),
        "errors": rows_of(found.recent_errors),
        "latencies": took,
        "sessions": sessions,
        "can_operate": can_operate(request.user),
        "operations": [(each, link(events, _of_operation(ranged, each).query_string())) for each in took.operations],
    }
    dropped = bool(replace(asked.own, since=None, until=None))
    notices = (
        [Notice("Overview filters by time range only. Use other conditions on the Events page.")] if dropped else []
    )
    if refused_at := refused_lately():
        notices.append(
            Notice(
                f"evdash is overloaded and refused requests (last: {refused_at:%H:%M:%S} UTC). "
                "On a machine with more cores, increase EVDASH_WEB_PROCESSES.",
                "warning",
            )
        )
    return page(
        request,
        "pages/overview.html",
        "Overview",
        context,
        coverage=reader.coverage,
        events=(*newest_events, *found.recent_errors),
        notices=notices,
        status=400 if asked.problem else 200,
    )


def _of_operation(ranged: EventFilter, latency: OperationLatency) -> EventFilter:
    return ranged.also("tool" if latency.is_tool else "type", latency.operation)
