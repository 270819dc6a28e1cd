"""Sessions: a table under the filter bar, by their last activity or any column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.selections import COUNT_MAX, MATCHES_MAX
from evdash.events.filters.summary_filter import SESSIONS
from evdash.events.session_activity import EVENTS_MAX, SessionActivity
from evdash.web.charts.sparkline import Sparkline, sparkline
from evdash.web.error_pages import handles_invalid_query
from evdash.web.event_list.pagination import newest
from evdash.web.formatting import format_count
from evdash.web.links import list_address, with_query
from evdash.web.page import Notice, page
from evdash.web.summary_list.bar import summary_bar
from evdash.web.summary_list.query import ACTIVITY, SummaryListQuery
from evdash.web.summary_list.table import (
    column_choices,
    columns_of,
    form_pairs,
    page_links,
    printed_words,
    without_position,
)

LIMITED: Final = (
    f"List incomplete: conditions search the newest {MATCHES_MAX:,} matching events, "
    f"time ranges cover {COUNT_MAX:,} {{}}."
)

TOOLS_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Activity:
    """The activity of a session in the context of templates/parts/_sessions_table.html."""

    sparkline: Sparkline
    tools: str  # the most frequent ones
    all_tools: str  # with their numbers of events


def _displayed(activity: SessionActivity) -> Activity:
    events = sum(activity.events)
    others = len(activity.tools) - TOOLS_SHOWN
    return Activity(
        sparkline(activity.events, f"{format_count(events, 'event')} from the first to the last"),
        ", ".join(tool for tool, _ in activity.tools[:TOOLS_SHOWN]) + (f" +{others}" if others > 0 else ""),
        "\n".join(f"{tool}: {format_count(number, 'event')}" for tool, number in activity.tools),
    )


@handles_invalid_query
def sessions(request: HttpRequest) -> HttpResponse:
    """Render a page of the sessions of a filter."""
    query = SummaryListQuery.from_request(request, SESSIONS)
    with open_reader() as reader:
        has_problem = query.filter.problem is not None
        found, counts = (None, None) if has_problem else reader.session_list(query.selection, query.position)
        newest_events = newest(reader)
        needs_activity = found is not None and not set(ACTIVITY).isdisjoint(query.columns)
        activity = reader.session_activity(found.sessions) if found and needs_activity else {}
    columns = columns_of(SESSIONS, found.sessions if found else (), query)
    links = page_links(query, found) if found else None
    context = {
        "bar": summary_bar(query, counts),
        "rows": found.sessions if found else (),
        "activity_max": EVENTS_MAX,
        "activity": {session_id: _displayed(each) for session_id, each in activity.items()},
        "columns": columns,
        "user_below": "user" not in query.columns,  # on a phone, where its column is hidden
        "choices": column_choices(SESSIONS, columns),
        "choice_pairs": form_pairs(query),
        "usual_columns": without_position(query) if query.columns else "",
        "links": links,
        "printed": printed_words(query, found.sessions, counts.total, links) if found and counts and links else "",
        "is_filtered": bool(query.selection),
        "sets_address": with_query(list_address("compare-sets"), query.selected_pairs()) if query.selection else "",
    }
    is_limited = found is not None and not found.is_complete
    return page(
        request,
        "pages/sessions.html",
        "Sessions",
        context,
        coverage=reader.coverage,
        events=newest_events,
        notices=[Notice(LIMITED.format("sessions"))] if is_limited else [],
        status=400 if has_problem else 200,
    )
