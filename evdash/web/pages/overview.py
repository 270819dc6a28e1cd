"""Overview: the numbers, each with a link to its events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from evdash.accounts.roles import can_operate
from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.error_groups import GroupSort
from evdash.eventlog.latencies import OperationLatency
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Overview, Trend
from evdash.eventlog.selections import ListPosition, Order
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.summary_filter import SESSIONS, USERS, Selection, SummaryFilter
from evdash.events.filters.time_range import TimeBound
from evdash.events.summaries import Outcome
from evdash.health.current import current_health
from evdash.metrics import refused_lately
from evdash.web.charts.histogram import BucketLike, histogram_picture, not_drawn, shares
from evdash.web.charts.sparkline import Sparkline, sparkline
from evdash.web.event_display.row import rows_of
from evdash.web.event_list.error_rates import tool_query, tool_rates
from evdash.web.event_list.filter_bar import PRESETS, FilterBar, filter_bar
from evdash.web.event_list.list_query import ListQuery, filter_pairs, outcome_label, with_outcome
from evdash.web.event_list.pagination import newest
from evdash.web.formatting import format_count, format_duration
from evdash.web.health_panel import health_panel
from evdash.web.links import error_group_address, filtered_address, list_address, with_query
from evdash.web.page import Notice, page
from evdash.web.pages.errors import group_titles
from evdash.web.sandbox_middleware import sandbox_request
from evdash.web.summary_list.query import sort_text
from evdash.web.summary_list.table import columns_of

SESSIONS_IN_SANDBOX: Final = 10
OUTCOMES_SHOWN: Final = 8
GROUPS_SHOWN: Final = 6
USERS_SHOWN: Final = 6
COUNTED_MAX: Final = 10_000
"""Events whose error rates by tool are counted, the newest. Errors counts more of them."""
SPARKLINE_BARS: Final = 24
BY_EVENTS: Final = Order("events")

ALL: Final = "all"
"""The value of `range=` for all events."""
USUAL: Final = "1d"
REMEMBERED: Final = (ALL, *(span for span, _ in PRESETS))
"""The ranges that a browser remembers. One with fixed ends is a look at the past, and would become stale."""
REMEMBERED_FOR: Final = timedelta(days=400)  # browsers keep no cookie for longer (RFC 6265bis, section 5.5)


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """The time range of a request: that of its address, else the browser's last choice, else the last 24 hours."""

    filter: EventFilter
    is_in_address: bool

    @classmethod
    def from_request(cls, request: HttpRequest, own: EventFilter) -> Self:
        """Return the range of a request whose address has the filter `own`.

        A sandbox has copies of older entries, so its usual range is everything, and it remembers none.
        """
        ranged = EventFilter(since=own.since, until=own.until)
        if ranged or request.GET.get("range") == ALL:
            return cls(ranged, is_in_address=True)
        remembered = request.COOKIES.get(settings.OVERVIEW_COOKIE_NAME, "")
        name = ALL if sandbox_request(request) else remembered if remembered in REMEMBERED else USUAL
        return cls(EventFilter(since=None if name == ALL else TimeBound.parse(name)), is_in_address=False)

    @property
    def name(self) -> str:
        """`all`, or the span of a range before now (`1d`); "" for other ranges."""
        if self.filter.until or (self.filter.since and self.filter.since.moment):
            return ""
        return str(self.filter.since) if self.filter.since else ALL

    @property
    def label(self) -> str:
        """The length of the range as its link has it (`24 h`); "" without such a link."""
        return dict(PRESETS).get(self.name, "")

    def remember(self, response: HttpResponse) -> None:
        """Store the choice in a cookie of the browser, if the address has one to remember."""
        if self.is_in_address and self.name in REMEMBERED:
            response.set_cookie(
                settings.OVERVIEW_COOKIE_NAME,
                self.name,
                max_age=REMEMBERED_FOR,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )


def overview(request: HttpRequest) -> HttpResponse:
    """Render totals with their trend, error groups, types, outcomes and latencies of a time range."""
    query = ListQuery.from_request(request)
    own = query.filter.own
    chosen = RangeQuery.from_request(request, own)
    now = datetime.now(UTC)
    with open_reader() as reader:
        ranged, figures = chosen.filter, _figures(reader, chosen.filter, now)
        is_widened = bool(ranged and not chosen.is_in_address and not figures.events.value and figures.last_at)
        if is_widened:
            ranged = EventFilter()
            figures = _figures(reader, ranged, now)
        latencies = reader.latencies(figures.since, figures.until)
        groups = reader.error_groups(ranged, GroupSort("errors"))
        shown_groups = groups.shown[:GROUPS_SHOWN]
        titles = group_titles(reader, shown_groups)
        by_tool = tool_query(ranged)
        counted = (
            reader.error_counts(by_tool.events, by_tool.errors, ("tool",), COUNTED_MAX)
            if figures.errors.value
            else None
        )
        users = reader.users(
            Selection(SummaryFilter(USERS, ranged)), ListPosition(order=BY_EVENTS, limit=USERS_SHOWN)
        ).users
        newest_events = newest(reader)
        position = ListPosition(limit=SESSIONS_IN_SANDBOX)
        sessions = reader.sessions(position=position).sessions if sandbox_request(request) else ()

    def over(since: datetime, until: datetime) -> str:
        return filtered_address("events", ranged.between(since, until))

    context = {
        "found": figures,
        # Without Redis, the entries of the last minute are unknown.
        "per_second": None if reader.coverage.unreachable else figures.per_second,
        "bar": _bar(query, ranged, reader.streams),
        "empty_range": chosen.label if is_widened else "",
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
            (group, titles[group.fingerprint], with_query(error_group_address(group.fingerprint), filter_pairs(ranged)))
            for group in shown_groups
        ],
        "groups_number": groups.groups,
        "tool_rates": tool_rates(counted, by_tool) if counted else None,
        "top_users": users,
        "top_users_address": with_query(list_address("users"), [("sort", sort_text(BY_EVENTS)), *filter_pairs(ranged)]),
        "is_ranged": bool(ranged),
        "sparklines": _sparklines(figures.histogram.buckets),
        "trend": _trend_words(figures.trend, chosen.label),
        "latencies": latencies,
        "sessions": sessions,
        "session_columns": columns_of(SESSIONS, sessions),
        "can_operate": can_operate(request.user),
        "health": None if sandbox_request(request) else health_panel(current_health()),
        "operations": [
            (operation, filtered_address("events", _of_operation(ranged, operation)))
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
    response = page(
        request,
        "pages/overview.html",
        "Overview",
        context,
        coverage=coverage,
        events=(*newest_events, *figures.recent_errors),
        notices=notices,
        status=400 if query.filter.problem else 200,
    )
    if not sandbox_request(request):
        chosen.remember(response)
    return response


def _figures(reader: Reader, ranged: EventFilter, now: datetime) -> Overview:
    return reader.overview(
        ranged.since.at(now) if ranged.since else None, ranged.until.at(now) if ranged.until else None
    )


def _bar(query: ListQuery, ranged: EventFilter, streams: Sequence[str]) -> FilterBar:
    """Return the bar with the time ranges, of which all events have an address of their own."""
    bar = filter_bar(replace(query, filter=replace(query.filter, own=ranged)), streams=streams)
    everything, *presets = bar.ranges
    address = with_query(query.path, [("range", ALL)])
    return replace(bar, ranges=(replace(everything, address=address), *presets))


def _sparklines(buckets: Sequence[BucketLike]) -> dict[str, Sparkline | None]:
    """Return the sparklines of events and errors, at most SPARKLINE_BARS bars; None for zeros and a single bucket."""
    return {
        "events": _sparkline(buckets, [bucket.events for bucket in buckets], "event"),
        "errors": _sparkline(buckets, [bucket.errors for bucket in buckets], "error"),
    }


def _sparkline(buckets: Sequence[BucketLike], numbers: Sequence[int], noun: str) -> Sparkline | None:
    if len(buckets) < 2 or not any(numbers):
        return None
    together = -(-len(buckets) // SPARKLINE_BARS)
    bars = [sum(numbers[start : start + together]) for start in range(0, len(numbers), together)]
    each = format_duration((buckets[0].end - buckets[0].start) * together)
    words = f"{format_count(sum(bars), noun)}, at most {max(bars):,} in {each}"
    return sparkline(bars, words, is_of_errors=noun == "error")


def _trend_words(trend: Trend | None, label: str) -> dict[str, str]:
    """Return the trends of events and errors, in words: `+12 % vs previous 24 h`; "" if there was nothing before.

    `label` is the length of the range; "": that of the trend.
    """
    if trend is None:
        return {"events": "", "errors": ""}
    period = label or format_duration(trend.length)
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
