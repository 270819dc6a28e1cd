"""The longest inputs, and the middleware that refuses invalid ones before any other code reads them.

PostgreSQL's text type rejects NUL, and a column may be shorter than a text. Without the middleware, each page would
have to check each value. A valid text never contains NUL: the decoder shows it as another character.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.cookies import CookieError
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, parse_cookie
from django.http.multipartparser import MultiPartParserError

from evdash.audit_log.audit_log import REASON_MAX_CHARS
from evdash.notes.writing import TEXT_CHARS
from evdash.saved_views.models import NAME_MAX_CHARS, QUERY_MAX_CHARS
from evdash.web.control_characters import escape_control_chars_text
from evdash.web.error_pages import plain_page

PARAMETER_MAX_CHARS: Final = 8_000
FIELD_MAX_CHARS: Final = 40_000
USER_NAME_MAX_CHARS: Final = 150
PASSWORD_MAX_CHARS: Final = 4_000
_PASSWORDS: Final = ("password", "old_password", "new_password1", "new_password2")
_FIELDS: Final = {"username": USER_NAME_MAX_CHARS, **dict.fromkeys(_PASSWORDS, PASSWORD_MAX_CHARS)}
_NAME_SHOWN_CHARS: Final = 40
_UNLIMITED: Final = sys.maxsize
"""For headers: Twisted limits all of them together to 16 KiB (serving/limits.py)."""

LIMITS: Final = {
    "Address without its parameters": PARAMETER_MAX_CHARS,
    "Parameter of an address, such as a filter": PARAMETER_MAX_CHARS,
    "User name at the sign-in": USER_NAME_MAX_CHARS,
    "Password": PASSWORD_MAX_CHARS,
    "Reason of an operation": REASON_MAX_CHARS,
    "Note": TEXT_CHARS,
    "Name of a saved view": NAME_MAX_CHARS,
    "Parameters of a saved view": QUERY_MAX_CHARS,
    "Any other form field": FIELD_MAX_CHARS,
}
"""The longest texts in characters, as docs/security.md lists them."""


@dataclass(frozen=True, slots=True)
class Input:
    """One text of a request: its kind and name for a sentence, and its limit."""

    kind: str
    name: str
    text: str
    max_chars: int = PARAMETER_MAX_CHARS

    @property
    def problem(self) -> str:
        """The sentence that refuses the text; "" if it is valid."""
        what = f"{self.kind} {escape_control_chars_text(self.name[:_NAME_SHOWN_CHARS])}".rstrip()
        if "\x00" in self.text or "\x00" in self.name:
            return f"{what} contains a NUL character, which is not allowed. Remove it."
        if len(self.text) > self.max_chars:
            return f"{what} has {len(self.text):,} characters; the limit is {self.max_chars:,}. Shorten it."
        if len(self.name) > PARAMETER_MAX_CHARS:
            return f"{what}… has a name of {len(self.name):,} characters; the limit is {PARAMETER_MAX_CHARS:,}."
        return ""


class InputLimits:
    """The middleware. It answers a request with an invalid input with status 400 and a sentence.

    It works in synchronous and asynchronous handlers, because files are served without a thread.
    """

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Return the response, or in an asynchronous handler the coroutine that returns it."""
        problem = problem_of(request)
        if self._is_async:
            return self._answer(request, problem)
        return _refusal(request, problem) if problem else self._get_response(request)

    async def _answer(self, request: HttpRequest, problem: str) -> Any:
        return _refusal(request, problem) if problem else await self._get_response(request)


def problem_of(request: HttpRequest) -> str:
    """Return the sentence that refuses the request; "" if all of its texts are valid."""
    try:
        return next(filter(None, (each.problem for each in _inputs(request))), "")
    except RequestDataTooBig:
        return f"The form is too large. A field has at most {FIELD_MAX_CHARS:,} characters. Shorten it."
    except TooManyFieldsSent:
        return "The request has too many parameters. Select fewer entries."
    except (SuspiciousOperation, MultiPartParserError, BadRequest, CookieError):
        return "The form could not be read. Reload the page and submit it again."


def _inputs(request: HttpRequest) -> Iterator[Input]:
    yield Input("The address", "", request.path_info)
    yield from (Input("The parameter", name, text) for name, texts in request.GET.lists() for text in texts)
    yield from (Input("The cookie", name, text) for name, text in request.COOKIES.items())
    headers = ((name, text) for name, text in request.META.items() if name.startswith(("HTTP_", "CONTENT_")))
    yield from (Input("The header", name, str(text), _UNLIMITED) for name, text in headers)
    if request.method not in ("GET", "HEAD"):
        for name, texts in request.POST.lists():
            yield from (Input("The field", name, text, _FIELDS.get(name, FIELD_MAX_CHARS)) for text in texts)


def _refusal(request: HttpRequest, problem: str) -> HttpResponse:
    """Return the response: a page for a browser, a line of text for a program."""
    if "text/html" in request.headers.get("Accept", ""):
        response = plain_page("Invalid request", problem, status=400)
    else:
        response = HttpResponse(f"{problem}\n", status=400, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    return response


class SocketInputLimits:
    """The same limits for sockets, as ASGI middleware. A refused socket gets HTTP status 403 before it is accepted."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if any(each.problem for each in _inputs_of_socket(scope)):
            await receive()
            await send({"type": "websocket.close"})
        else:
            await self.application(scope, receive, send)


def _inputs_of_socket(scope: dict[str, Any]) -> Iterable[Input]:
    yield Input("The address", "", unquote(scope["path"]))
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    yield from (Input("The parameter", name, text) for name, text in pairs)
    for raw_name, raw_text in scope["headers"]:
        text = raw_text.decode("latin-1")
        yield Input("The header", raw_name.decode("latin-1"), text, _UNLIMITED)
        if raw_name == b"cookie":
            yield from (Input("The cookie", name, value) for name, value in parse_cookie(text).items())
