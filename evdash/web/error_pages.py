"""Shared error pages: invalid query (400), expired form (403), not found (404), server error (500), no SQL (503)."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Concatenate, Final, Literal, ParamSpec, cast

import structlog
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

logger = structlog.stdlib.get_logger(__name__)

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
            beginning = page_address(request)
            return message_page(request, "Invalid address", str(error), status=400, beginning=beginning)

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
    beginning: str = "",
    look_again_s: int = 0,
    command: str = "",
) -> HttpResponse:
    """Return a page with one sentence and links.

    `subject` is the requested ID, `command` a remedy to run, `beginning` the address of the first page of a list. With
    `look_again_s` the page reloads itself after that many seconds. It reloads as a whole, because the page that
    replaces it has another heading.
    """
    context = {
        "sentence": sentence,
        "subject": subject,
        "beginning": beginning,
        "search_on": search_on,
        "look_again_s": look_again_s,
        "command": command,
    }
    return page(request, "message_page.html", title, context, coverage=coverage, status=status)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response to an unknown address: Django's handler404. Signed-in people get the rail and the search."""
    if not request.user.is_authenticated:
        return plain_page("Page not found", "Check the address, or open Overview.", status=404)
    sentence = "No page has this address. Search for an ID or text, or open a page from the menu."
    return _outside_page(request, "Page not found", sentence, status=404, subject=request.path)


def access_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response to PermissionDenied: Django's handler403. Signed-in people get the rail and the search."""
    is_role = isinstance(exception, OperatorRoleRequired)
    title = "Operator role required" if is_role else "Access denied"
    sentence = str(exception) if is_role else "You do not have access to this page."
    if not request.user.is_authenticated:
        return plain_page(title, sentence, status=403)
    command = exception.command if isinstance(exception, OperatorRoleRequired) else ""
    return _outside_page(request, title, sentence, status=403, command=command)


def _outside_page(request: HttpRequest, title: str, sentence: str, **options: Any) -> HttpResponse:
    """Return the page of a message without a sandbox, because the address may name one that does not exist."""
    request.mount = None  # type: ignore[attr-defined]
    with without_prefix():
        return message_page(request, title, sentence, **options)


def _error_page(request: HttpRequest, title: str, sentence: str, *, status: int) -> HttpResponse:
    """Return the page of a message with the rail and the search, or the plain page.

    People who are not signed in get the plain page. So does everybody if the rail fails, too: the request may not have
    reached the middleware that it needs.
    """
    try:
        if request.user.is_authenticated:
            return _outside_page(request, title, sentence, status=status)
    except Exception as error:
        logger.warning("error page without rail", exc_info=error)
    return plain_page(title, sentence, status=status)


def plain_page(title: str, sentence: str, *, status: int, again: str = "") -> HttpResponse:
    """Return a page without the rail. It needs neither SQL nor Redis. `again` is the address to try again."""
    context = {"title": title, "sentence": sentence, "again": again}
    response = HttpResponse(render_to_string("plain_message.html", context), status=status)
    response["Cache-Control"] = "no-store"
    return response


def form_expired(request: HttpRequest, reason: str) -> HttpResponse:
    """Return the response to a form without a valid CSRF token: Django's CSRF_FAILURE_VIEW. The log has the reason."""
    sentence = "The form has expired. Reload the page and submit it again."
    return _error_page(request, "Form expired", sentence, status=403)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response to a request that Django refuses: its handler400. The log has Django's message."""
    if isinstance(exception, DisallowedRedirect):
        sentence = f"The address of the result has more than {MAX_URL_REDIRECT_LENGTH:,} characters. Shorten the text."
    else:
        sentence = f"The request is not valid. {_logged_as(request)}"
    return _error_page(request, "Invalid request", sentence, status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the response to an exception in a view: Django's handler500.

    The status is 503, with a sentence, for OperationalError and InterfaceError, which mean that SQL is unusable. Any
    other exception results in the fault page with status 500. After an error of SQL the page is plain, because the rail
    reads SQL, too.
    """
    error = sys.exc_info()[1]
    if not isinstance(error, OperationalError | InterfaceError):
        answer = plain_page if isinstance(error, DatabaseError) else partial(_error_page, request)
        sentence = f"evdash could not show this page. {_logged_as(request)} No event was changed."
        return answer("Internal error", sentence, status=500)
    from evdash.metrics import SQL_DEADLINE_HITS  # imported here because commands import the URL configuration, too

    SQL_DEADLINE_HITS.inc()
    # The connection may fail after the server's commit and before its confirmation, so a write may have succeeded.
    is_read = request.method in ("GET", "HEAD")
    outcome = "" if is_read else "The change may have been saved. Check before you repeat it. "
    sentence = f"{database_problem(error)} Try again in a few seconds. {outcome}{_logged_as(request)}"
    again = request.get_full_path() if is_read else ""
    response = plain_page("Database unavailable", sentence, status=503, again=again)
    response["Retry-After"] = "3"
    return response


def _logged_as(request: HttpRequest) -> str:
    """Return the sentence with a new ID, which Django's record of the error then has, too (evdash/logs.py)."""
    request.error_id = secrets.token_hex(4)  # type: ignore[attr-defined]
    return f"The server log has the cause under ID {request.error_id}."  # type: ignore[attr-defined]


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
