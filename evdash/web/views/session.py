"""One session: its facts, its timeline, its events in order."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.reader import Reader, open_reader
from evdash.eventlog.records import EventPage, Position
from evdash.events.filter import EventFilter
from evdash.web.filter_bar import Scope
from evdash.web.listing import Listing, listing, question
from evdash.web.paging import link
from evdash.web.rendering import page
from evdash.web.timeline import Timeline, timeline
from evdash.web.views.answers import explains_bad_places, unknown

# Enough for the picture of an hour's work; beyond it marks would only cover each other.
PICTURE_EVENTS = 1_000


@explains_bad_places
def session(request: HttpRequest, session_id: str) -> HttpResponse:
    """The session's events from its start on, under the filter bar."""
    asking = question(request, Scope("session", session_id), oldest_first=True)
    with open_reader() as reader:
        facts = reader.session(session_id)
        shown = listing(reader, asking, with_histogram=False)
        picture, note = _picture(reader, session_id, shown, facts.events if facts else 0)
    if facts is None:
        return unknown(request, reader, "session", session_id)
    context = {"facts": facts, "listing": shown, "timeline": picture, "timeline_note": note}
    return page(
        request,
        "sessions/session.html",
        session_id,
        context,
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )


def _picture(reader: Reader, session_id: str, shown: Listing, events: int) -> tuple[Timeline | None, str]:
    """The picture of the session; of a very long one, of the part from this page on."""
    within = EventFilter().also("session", session_id)
    found = reader.first_page(within, limit=PICTURE_EVENTS)
    if found.newer is not None and shown.page.events and shown.page.older is not None:
        # After no stream's entry of this ID: the first event of the page is the first that is drawn.
        start = Position(shown.page.events[0].entry_id, "")
        found = reader.page(within, after=start, oldest_first=True, limit=PICTURE_EVENTS)
    is_part = len(found.events) < events
    note = f"{len(found.events):,} of {events:,} events are drawn, from this page of the list on." if is_part else ""
    return timeline(found.events, _addresses(found, shown)), note


def _addresses(found: EventPage, shown: Listing) -> list[str]:
    """Where each mark leads: to its row on this page of the list, or to the page of the list that begins with it."""
    here = {Position.of(event) for event in shown.page.events}
    addresses, before = [], None
    for event in found.events:
        position = Position.of(event)
        elsewhere = "" if position in here else link(shown.bar.address, "", after=before)
        addresses.append(elsewhere)
        before = position
    return addresses
