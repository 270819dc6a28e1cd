"""Shared error pages: invalid query (400), not found (404), server error (500) and SQL unavailable (503)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, Final, Literal, ParamSpec, cast

from django.core.exceptions import DisallowedRedirect
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.utils.http import MAX_URL_REDIRECT_LENGTH

from evdash.accounts.roles import OperatorRoleRequired
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Coverage
from evdash.events.filters.event_filter import EventFilter
from evdash.web.event_list.list_query import InvalidQuery
from evdash.web.links import filtered_address, page_address
from evdash.web.page import page
from evdash.web.url_prefix import without_prefix

# Seconds until a not-found page reloads itself: the first event of the session or user may arrive at any moment.
_LOOK_AGAIN_S: Final = 5

Params = ParamSpec("Params")
View = Callable[Concatenate[HttpRequest, Params], HttpResponseBase]


def handles_invalid_query(view: View[Params]) -> View[Params]:
    """Return the view with InvalidQuery turned into a page with status 400 and the exception's sentence."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Params.args, **kwargs: Params.kwargs) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except InvalidQuery as error:
            return message_page(request, "Invalid address", str(error), status=400)

    return cast(View[Params], answer)


def not_found_page(
    request: HttpRequest, reader: Reader, what: Literal["session", "user", "error group"], name: str
) -> HttpResponse:
    """Return a page with status 404 for a session, user or error group without a known event.

    Its sentence states the reason: such an event does not exist, or not everything was read.
    """
    if reader.has_read_all:
        where = "this sandbox" if reader.coverage.is_of_copies else "the event log or the streams"
        sentence = f"No event in {where} has this {what} ID."
        return message_page(
            request,
            f"{what.capitalize()} not found",
            f"{sentence} This page checks again every {_LOOK_AGAIN_S} s.",
            status=404,
            coverage=reader.coverage,
            subject=name,
            look_again_s=_LOOK_AGAIN_S,
        )
    sentence = (
        reader.unreachable
        or f"The event log is too far behind to search the whole stream for this {what}. Search the stream instead."
    )
    search = filtered_address("events", EventFilter().also(what.removeprefix("error "), name))
    return message_page(
        request,
        "Not indexed yet",
        sentence,
        status=404,
        coverage=reader.coverage,
        subject=name,
        search_on=search,
        look_again_s=_LOOK_AGAIN_S,
    )


def message_page(
    request: HttpRequest,
    title: str,
    sentence: str,
    *,
    status: int,
    coverage: Coverage | None = None,
    subject: str = "",
    search_on: str = "",
    look_again_s: int = 0,
    command: str = "",
) -> HttpResponse:
    """Return a page with one sentence and links. `subject` is the requested ID, `command` a remedy to run.

    With `look_again_s` the page reloads itself after that many seconds. It reloads as a whole, because the page that
    replaces it has another heading.
    """
    context = {
        "sentence": sentence,
        "subject": subject,
        "beginning": page_address(request) if status == 400 else "",
        "search_on": search_on,
        "look_again_s": look_again_s,
        "command": command,
    }
    return page(request, "message_page.html", title, context, coverage=coverage, status=status)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response to an unknown address: Django's handler404. Signed-in people get the rail and the search."""
    if not request.user.is_authenticated:
        return HttpResponse(render_to_string("404.html"), status=404)
    sentence = "No page has this address. Search for an ID or a text, or open a page of the rail."
    return _outside_page(request, "Page not found", sentence, status=404, subject=request.path)


def access_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response to PermissionDenied: Django's handler403. Signed-in people get the rail and the search."""
    is_role = isinstance(exception, OperatorRoleRequired)
    title = "Operator role required" if is_role else "Access denied"
    sentence = str(exception) if is_role else "You do not have access to this page."
    if not request.user.is_authenticated:
        return HttpResponse(render_to_string("403.html", {"title": title, "sentence": sentence}), status=403)
    command = exception.command if isinstance(exception, OperatorRoleRequired) else ""
    return _outside_page(request, title, sentence, status=403, command=command)


def _outside_page(request: HttpRequest, title: str, sentence: str, **options: Any) -> HttpResponse:
    """Return the page of a message without a sandbox, because the address may name one that does not exist."""
    request.mount = None  # type: ignore[attr-defined]
    with without_prefix():
        return message_page(request, title, sentence, **options)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response to a request that Django refuses: its handler400. The log has Django's message."""
    if isinstance(exception, DisallowedRedirect):
        sentence = f"The address of the result has more than {MAX_URL_REDIRECT_LENGTH:,} characters. Shorten the text."
    else:
        sentence = "The request is not valid."
    return HttpResponse(render_to_string("400.html", {"sentence": sentence}), status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the response to an exception in a view: Django's handler500.

    The status is 503, with a sentence, for OperationalError and InterfaceError, which mean that SQL is unusable. Any
    other exception results in the fault page with status 500.
    """
    error = sys.exc_info()[1]
    if not isinstance(error, OperationalError | InterfaceError):
        return HttpResponse(render_to_string("500.html"), status=500)
    from evdash.metrics import SQL_DEADLINE_HITS  # imported here because commands import the URL configuration, too

    SQL_DEADLINE_HITS.inc()
    # The connection may fail after the server's commit and before its confirmation, so a write may have succeeded.
    is_read = request.method in ("GET", "HEAD")
    context = {
        "title": "Database unavailable",
        "sentence": f"{database_problem(error)} Try again in a few seconds.",
        "outcome": "" if is_read else "The change may have been saved. Check before you repeat it.",
        "again": request.get_full_path() if is_read else "",
    }
    response = HttpResponse(render_to_string("503.html", context), status=503)
    response["Retry-After"] = "3"
    response["Cache-Control"] = "no-store"
    return response


def database_problem(error: DatabaseError | InterfaceError) -> str:
    """Return the sentence for an outage of SQL.

    It does not quote the driver's message, which may contain addresses: that message is for the server's log.
    """
    words = str(error)
    if "locked" in words or "lock timeout" in words:
        return "The database is locked by another process."
    if "full" in words:
        return "The database disk is full."
    return "The database did not answer in time or is unreachable."
