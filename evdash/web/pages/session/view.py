"""The page of one session: facts, timeline, events in order, and navigation between them."""

from __future__ import annotations

from dataclasses import replace

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django_htmx.http import trigger_client_event

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Position
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.summaries import SessionSummary
from evdash.notes.records import Subject
from evdash.web.error_pages import handles_invalid_query, message_page, not_found_page
from evdash.web.event_list.completeness import Completeness, gaps_of_session, session_completeness
from evdash.web.event_list.list_query import InvalidQuery, ListQuery
from evdash.web.event_list.listing import Listing, listing
from evdash.web.event_list.pagination import with_calls
from evdash.web.links import session_address
from evdash.web.note_display import notes_section
from evdash.web.page import page, part
from evdash.web.pages.compare.suggestions import suggest_comparisons
from evdash.web.pages.session.query import FindQuery, SessionPageQuery, found_event, nothing_found, toolbar
from evdash.web.pages.session.state_panel import state_panel
from evdash.web.pages.session.timeline import DRAWN_MAX, calls_in_filtered, match_calls_in_view, timeline_panel
from evdash.web.pages.session.trace_panel import trace_panel
from evdash.web.pages.session_export.links import export_links
from evdash.web.sandbox_middleware import sandbox_request


@handles_invalid_query
def session(request: HttpRequest, session_id: str) -> HttpResponse:
    """Render the session's events from its start, or around `at=`, under the filter bar.

    `part=find` redirects to an event of the session. `part=state` renders the state at an event.
    """
    query = SessionPageQuery.from_request(request, session_id)
    with open_reader() as reader:
        facts = reader.session(session_id)
        if facts is None:
            return not_found_page(request, reader, "session", session_id)
        if query.part == "find":
            return _found(request, reader, facts, query)
        if query.part == "state":
            return _state(request, reader, facts, query)
        return _page(request, reader, facts, query)


def _page(request: HttpRequest, reader: Reader, facts: SessionSummary, query: SessionPageQuery) -> HttpResponse:
    streams = reader.session_streams(facts.session_id)
    shown = listing(reader, query.list, facts=facts, streams=streams, with_histogram=False)
    if hidden := _hidden(reader, query.list, shown):
        return HttpResponseRedirect(query.showing(hidden, reader.now))
    is_filtered = bool(query.list.filter.own)
    lists_all = (
        not is_filtered
        and not (shown.page.older or shown.page.newer or shown.page.searched_to)
        and len(shown.page.events) <= DRAWN_MAX
    )
    trace = trace_panel(reader, facts, query)
    drawn = timeline_panel(reader, facts, shown, query, lists_all=lists_all, traced=trace.events if trace else ())
    calls = drawn.calls
    if is_filtered and facts.events > DRAWN_MAX:  # listed calls may be far from the timeline
        calls = calls_in_filtered(reader, facts, shown.page.events, drawn.calls)
    elif not is_filtered and len(shown.page.events) > DRAWN_MAX:  # printed lists exceed the timeline
        calls = match_calls_in_view(reader, facts, shown.page)
    context = {
        "facts": facts,
        "session_streams": streams,
        "completeness": _completeness(reader, facts),
        "hand_over": export_links(facts.session_id),
        "notes": None if sandbox_request(request) else notes_section(Subject(facts.session_id), request.user),
        "listing": replace(shown, list=with_calls(shown.list, calls, query.around)),
        "picture": drawn,
        "query": query,
        "toolbar": toolbar(query, shown),
        "comparable": suggest_comparisons(reader, facts),
        "trace": trace,
    }
    return page(
        request,
        "pages/session/session.html",
        facts.session_id,
        context,
        coverage=reader.coverage,
        events=shown.page.events,
        status=shown.status,
    )


def _completeness(reader: Reader, facts: SessionSummary) -> Completeness:
    first = reader.first_page(EventFilter().also("session", facts.session_id), limit=1).events
    gaps = gaps_of_session(reader, facts)
    return session_completeness(facts, first[0] if first else None, reader.coverage, gaps)


def _hidden(reader: Reader, query: ListQuery, shown: Listing) -> Event | None:
    """Return the event of `at=` that the filter hides; None if it is shown, or is not an event of the session."""
    at, chosen = query.cursor.at, query.filter
    if at is None or not chosen.own or chosen.problem:
        return None
    if any(event.entry_id == at for event in shown.page.events):
        return None
    session = chosen.scope.applied(EventFilter())
    there = reader.page(session, after=Position(at, ""), oldest_first=True, limit=1).events
    return there[0] if there and there[0].entry_id == at else None


def _state(request: HttpRequest, reader: Reader, facts: SessionSummary, query: SessionPageQuery) -> HttpResponse:
    """Render the state at one event: a fragment for the panel, else a page."""
    panel = state_panel(reader, facts, query)
    if panel is None:
        return message_page(
            request,
            "No state",
            "The session has no event up to this point.",
            status=404,
            coverage=reader.coverage,
            subject=facts.session_id,
        )
    context = {"panel": panel, "address": session_address(facts.session_id)}
    if request.htmx:  # type: ignore[attr-defined]
        return part(request, "pages/session/_state.html", context)
    return page(request, "pages/session/state.html", facts.session_id, context, coverage=reader.coverage)


def _found(request: HttpRequest, reader: Reader, facts: SessionSummary, query: SessionPageQuery) -> HttpResponse:
    """Redirect to the requested event, or report that there is none."""
    try:
        find = FindQuery.from_request(request)
        found = found_event(reader, facts, find)
    except InvalidQuery as error:
        if request.htmx:  # type: ignore[attr-defined]
            return _sentence_response(str(error))
        raise
    if found.event is not None:
        return HttpResponseRedirect(f"{session_address(facts.session_id)}{query.showing(found.event, reader.now)}")
    nothing = nothing_found(find, found.searched_to)
    if request.htmx:  # type: ignore[attr-defined]
        return _sentence_response(nothing)
    return message_page(
        request,
        "Nothing found",
        nothing,
        status=404,
        coverage=reader.coverage,
        subject=facts.session_id,
    )


def _sentence_response(sentence: str) -> HttpResponse:
    """Return a response that shows a sentence on the current page and changes nothing else."""
    return trigger_client_event(HttpResponse(status=204), "evdash:nothing", {"words": sentence})
