"""Users: by their last activity, newest first."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.events.filters.summary_filter import USERS
from evdash.web.error_pages import handles_invalid_query
from evdash.web.event_list.pagination import newest
from evdash.web.page import Notice, page
from evdash.web.pages.sessions import LIMITED
from evdash.web.summary_list.bar import summary_bar
from evdash.web.summary_list.query import SummaryListQuery
from evdash.web.summary_list.table import (
    column_choices,
    columns_of,
    form_pairs,
    page_links,
    printed_words,
    without_position,
)


@handles_invalid_query
def users(request: HttpRequest) -> HttpResponse:
    """Render a page of the users of a filter."""
    query = SummaryListQuery.from_request(request, USERS)
    with open_reader() as reader:
        has_problem = query.filter.problem is not None
        found, counts = (None, None) if has_problem else reader.user_list(query.selection, query.position)
        newest_events = newest(reader)
    columns = columns_of(USERS, found.users if found else (), query)
    links = page_links(query, found) if found else None
    context = {
        "bar": summary_bar(query, counts),
        "rows": found.users if found else (),
        "columns": columns,
        "choices": column_choices(USERS, columns),
        "choice_pairs": form_pairs(query),
        "usual_columns": without_position(query) if query.columns else "",
        "links": links,
        "printed": printed_words(query, found.users, counts.total, links) if found and counts and links else "",
        "is_filtered": bool(query.selection),
    }
    is_limited = found is not None and not found.is_complete
    return page(
        request,
        "pages/users.html",
        "Users",
        context,
        coverage=reader.coverage,
        events=newest_events,
        notices=[Notice(LIMITED.format("users"))] if is_limited else [],
        status=400 if has_problem else 200,
    )
