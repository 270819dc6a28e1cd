"""Sessions: by their last activity, newest first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.records import OutcomeCounts
from evdash.eventlog.summaries import COUNT_MAX
from evdash.web.error_pages import handles_invalid_query
from evdash.web.event_list.list_query import EntryCursorQuery, outcome_label
from evdash.web.event_list.pagination import newest
from evdash.web.page import Notice, page


@handles_invalid_query
def sessions(request: HttpRequest) -> HttpResponse:
    """Render a page of sessions; `user=`, `outcome=`, `since=` and `until=` limit it."""
    query = EntryCursorQuery.from_request(request)
    since, until = query.times(datetime.now(UTC))
    with open_reader() as reader:
        sessions_page = reader.sessions(
            before=query.before,
            after=query.after,
            user_id=query.user_id or None,
            since=since,
            until=until,
            outcome=query.outcome,
        )
        outcomes = OutcomeCounts(()) if query.user_id else reader.outcomes(since, until)
        newest_events = newest(reader)
    context = {
        "found": sessions_page,
        "chips": query.chips,
        "outcomes": [
            (outcome_label(outcome), sessions, replace(query, outcome=outcome).url(), outcome == query.outcome)
            for outcome, sessions in outcomes.counts
        ],
        "outcomes_complete": outcomes.is_complete,
        "is_any_outcome": query.outcome is None,
        "any_outcome": replace(query, outcome=None).url(),
        "newer": query.url(after=sessions_page.newer) if sessions_page.newer else "",
        "older": query.url(before=sessions_page.older) if sessions_page.older else "",
        "newest": "" if query.is_beginning else query.url(),
    }
    return page(
        request,
        "pages/sessions.html",
        "Sessions",
        context,
        coverage=reader.coverage,
        events=newest_events,
        notices=[] if sessions_page.is_complete else [Notice(f"Showing {COUNT_MAX:,} sessions of this range at most.")],
    )
