"""Overview: the numbers, each with a link to its events."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from django.http import HttpRequest, HttpResponse

from evdash.accounts.roles import can_operate
from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.error_groups import GroupSort
from evdash.eventlog.latencies import OperationLatency
from evdash.eventlog.records import Trend
from evdash.eventlog.selections import ListPosition
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.summary_filter import SESSIONS
from evdash.events.summaries import Outcome
from evdash.health.current import current_health
from evdash.metrics import refused_lately
from evdash.web.charts.histogram import histogram_picture, not_drawn, shares
from evdash.web.event_display.row import rows_of
from evdash.web.event_list.filter_bar import filter_bar
from evdash.web.event_list.list_query import ListQuery, filter_pairs, outcome_label, with_outcome
from evdash.web.event_list.pagination import newest
from evdash.web.formatting import format_duration
from evdash.web.health_panel import health_panel
from evdash.web.links import error_group_address, filtered_address, list_address, with_query
from evdash.web.page import Notice, page
from evdash.web.sandbox_middleware import sandbox_request
from evdash.web.summary_list.table import columns_of

SESSIONS_IN_SANDBOX: Final = 10
OUTCOMES_SHOWN: Final = 8
GROUPS_SHOWN: Final = 6


def overview(request: HttpRequest) -> HttpResponse:
    """Render totals with their trend, error groups, types, outcomes and latencies of a time range."""
    query = ListQuery.from_request(request)
    own = query.filter.own
    ranged = EventFilter(since=own.since, until=own.until)
    now = datetime.now(UTC)
    with open_reader() as reader:
        figures = reader.overview(
            ranged.since.at(now) if ranged.since else None, ranged.until.at(now) if ranged.until else None
        )
        latencies = reader.latencies(figures.since, figures.until)
        groups = reader.error_groups(ranged, GroupSort("errors"))
        newest_events = newest(reader)
        position = ListPosition(limit=SESSIONS_IN_SANDBOX)
        sessions = reader.sessions(position=position).sessions if sandbox_request(request) else ()

    errors_by_tool: Counter[str] = Counter()
    for group in groups.shown:
        errors_by_tool[group.tool] += group.events

    def over(since: datetime, until: datetime) -> str:
        return filtered_address("events", ranged.between(since, until))

    context = {
        "found": figures,
        # Without Redis, the entries of the last minute are unknown.
        "per_second": None if reader.coverage.unreachable else figures.per_second,
        "bar": filter_bar(replace(query, filter=replace(query.filter, own=ranged)), streams=reader.streams),
        "events_address": filtered_address("events", ranged),
        "errors_address": filtered_address("errors", ranged),
        "sessions_address": filtered_address("sessions", ranged),
        "users_address": filtered_address("users", ranged),
        "histogram": histogram_picture(figures.histogram.buckets, over, height=96),
        "histogram_base": list_address("events"),
        "not_drawn": not_drawn(figures.histogram.earlier, figures.histogram.later, figures.histogram.buckets),
        "types": shares(
            [(t.value, t.count, filtered_address("events", ranged.also("type", t.value))) for t in figures.types]
        ),
        "outcomes": shares(
            [
                (outcome_label(outcome), sessions, _sessions_address(ranged, outcome))
                for outcome, sessions in figures.outcomes.counts[:OUTCOMES_SHOWN]
            ]
        ),
        "outcomes_complete": figures.outcomes.is_complete,
        "errors": rows_of(figures.recent_errors, figures.duplicates),
        "groups": [
            (group, with_query(error_group_address(group.fingerprint), filter_pairs(ranged)))
            for group in groups.shown[:GROUPS_SHOWN]
        ],
        "groups_number": groups.groups,
        "trend": _trend_words(figures.trend),
        "latencies": latencies,
        "sessions": sessions,
        "session_columns": columns_of(SESSIONS, sessions),
        "can_operate": can_operate(request.user),
        "health": None if sandbox_request(request) else health_panel(current_health()),
        "operations": [
            (
                operation,
                filtered_address("events", _of_operation(ranged, operation)),
                errors_by_tool[operation.operation] if operation.is_tool else 0,
                filtered_address("errors", _of_operation(ranged, operation)),
            )
            for operation in latencies.operations
        ],
    }
    dropped = bool(replace(own, since=None, until=None))
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
    # A stream that cannot be read is one of the health conditions already.
    coverage = reader.coverage if sandbox_request(request) else replace(reader.coverage, notes=())
    return page(
        request,
        "pages/overview.html",
        "Overview",
        context,
        coverage=coverage,
        events=(*newest_events, *figures.recent_errors),
        notices=notices,
        status=400 if query.filter.problem else 200,
    )


def _trend_words(trend: Trend | None) -> dict[str, str]:
    """Return the trends of events and errors, in words: `+12 % vs previous 1 d`; "" if there was nothing before."""
    if trend is None:
        return {"events": "", "errors": ""}
    period = format_duration(trend.length)
    pairs = {"events": (trend.events, trend.events_before), "errors": (trend.errors, trend.errors_before)}
    return {
        name: f"{(number - before) / before:+.0%} vs previous {period}".replace("%", " %").replace("-", "−")
        if before
        else ""
        for name, (number, before) in pairs.items()
    }


def _sessions_address(ranged: EventFilter, outcome: Outcome) -> str:
    return filtered_address("sessions", with_outcome(ranged, outcome))


def _of_operation(ranged: EventFilter, latency: OperationLatency) -> EventFilter:
    return ranged.also("tool" if latency.is_tool else "type", latency.operation)
