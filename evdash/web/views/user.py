"""One user, for an audit: who, when, which sessions, and every event in order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from evdash.eventlog.opening import open_reader
from evdash.eventlog.reader import Reader
from evdash.events.filter import EventFilter
from evdash.events.summaries import UserSummary
from evdash.web.asked import Scope
from evdash.web.calendar import Calendar, calendar, calendar_range
from evdash.web.completeness import completeness
from evdash.web.listing import listing, question
from evdash.web.paging import link
from evdash.web.rendering import page
from evdash.web.views.answers import explains_bad_places, unknown

SESSIONS = 20


@explains_bad_places
def user(request: HttpRequest, user_id: str) -> HttpResponse:
    """The user's events from the first on, under the filter bar."""
    asking = question(request, Scope("user", user_id), oldest_first=True)
    with open_reader() as reader:
        facts = reader.user(user_id)
        if facts is not None:
            shown = listing(reader, asking, facts=facts, with_histogram=False)
            sessions = reader.sessions(user_id=user_id, limit=SESSIONS)
            days = _calendar(reader, facts, asking.address)
    if facts is None:
        return unknown(request, reader, "user", user_id)
    context = {
        "facts": facts,
        "sessions": sessions,
        "sessions_address": f"{reverse('sessions')}?{urlencode({'user': user_id})}",
        "calendar": days,
        "completeness": completeness(facts, reader.coverage, reader.missing_in_all()),
        "listing": shown,
        "printed_at": datetime.now(UTC),
    }
    return page(
        request,
        "users/user.html",
        user_id,
        context,
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )


def _calendar(reader: Reader, facts: UserSummary, address: str) -> Calendar:
    # A producer may write any year; the calendar ends today, or with the user's last day before it.
    since, until = calendar_range(min(datetime.now(UTC), facts.last_at).date())

    def of_day(day: date) -> str:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return link(address, EventFilter().between(start, start + timedelta(days=1)).query_string())

    return calendar(reader.user_days(facts.user_id, since, until), since, until, of_day)
