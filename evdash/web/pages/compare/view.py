"""The view that compares two sessions side by side."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.reader import Reader
from evdash.eventlog.session_queries import session_comparison
from evdash.events.summaries import SessionSummary
from evdash.web.error_pages import handles_invalid_query, not_found_page
from evdash.web.page import page
from evdash.web.pages.compare.presenter import (
    CompareQuery,
    comparison_view,
    notices,
)
from evdash.web.pages.compare.suggestions import suggest_comparisons, suggested_groups


@handles_invalid_query
def compare(request: HttpRequest) -> HttpResponse:
    """Render the aligned sessions of `a=` and `b=`. If one is missing, render a form that requests it."""
    query = CompareQuery.from_request(request)
    with open_reader() as reader:
        facts = [reader.session(session_id) if session_id else None for session_id in (query.a, query.b)]
        for session_id, summary in zip((query.a, query.b), facts, strict=True):
            if session_id and summary is None:
                return not_found_page(request, reader, "session", session_id)
        a, b = facts
        if a is None or b is None:
            suggestions = suggest_comparisons(reader, a or b)
            groups = suggested_groups(a, suggestions) if a else ()
            context = {"query": query, "comparison": None, "suggestions": suggestions, "groups": groups}
            return page(request, "pages/compare/compare.html", "Compare sessions", context, coverage=reader.coverage)
        return _compared(request, reader, query, a, b)


def _compared(
    request: HttpRequest, reader: Reader, query: CompareQuery, a: SessionSummary, b: SessionSummary
) -> HttpResponse:
    compared = session_comparison(reader, a, b)
    view = comparison_view(reader, compared, query)
    suggestions = suggest_comparisons(reader, a)
    sides = (side for part in view.parts for row in part.rows for side in (row.a, row.b))
    return page(
        request,
        "pages/compare/compare.html",
        f"{a.session_id} and {b.session_id}",
        {
            "query": query,
            "comparison": view,
            "suggestions": suggestions,
            "groups": suggested_groups(a, suggestions, b.session_id),
        },
        coverage=reader.coverage,
        events=(side.event for side in sides if side),
        notices=notices(compared),
    )
