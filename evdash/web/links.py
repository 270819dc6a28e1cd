"""Addresses of pages about one thing, and their URL converters. An ID may have any characters.

An ID is percent-encoded completely, including its slashes. It is the only part between `/sessions/` and the last
slash. Browsers resolve `.` and `..` in a path even if they are encoded. Such an ID therefore gets a tilde in front. To
keep this reversible, an ID of tildes followed by `.` or `..` gets one as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote, urlencode

from django.http import HttpRequest
from django.urls import get_script_prefix, reverse
from django.utils.encoding import escape_uri_path

from evdash.events.entry import EntryId, InvalidEntryId
from evdash.events.filters.event_filter import EventFilter
from evdash.events.identifiers import identifier_of
from evdash.web.url_prefix import mounted_below, without_prefix

_TRACED_CHARS: Final = 200  # links to the occurrences of longer values would make pages long
_DOTS: Final = re.compile(r"~*\.\.?")


class OpaqueConverter:
    """A converter for a path part with any characters, including slashes and line breaks."""

    regex = r"(?s:.+)"

    def to_python(self, value: str) -> str:
        return value[1:] if _DOTS.fullmatch(value) and value.startswith("~") else value

    def to_url(self, value: str) -> str:
        return f"~{value}" if _DOTS.fullmatch(value) else value


class IdentifierConverter(OpaqueConverter):
    """A converter for the ID of a session or user, which is shortened as decoding shortens it."""

    def to_python(self, value: str) -> str:
        value = super().to_python(value)
        return identifier_of(value) or value


class EntryIdConverter:
    """A converter for an entry ID, `ms-seq`."""

    regex = r"\d{1,20}-\d{1,20}"

    def to_python(self, value: str) -> EntryId:
        try:
            return EntryId.parse(value)
        except InvalidEntryId as error:  # one half exceeds 64 bits: the page does not exist
            raise ValueError(str(error)) from None

    def to_url(self, value: EntryId) -> str:
        return str(value)


def list_address(name: str) -> str:
    """Return the address of the page with this URL name, which has no parameters.

    A page has hundreds of links, and `reverse()` takes longer than the rest of a link.
    """
    return _list_address(name, get_script_prefix())


@lru_cache(maxsize=256)
def _list_address(name: str, prefix: str) -> str:
    return reverse(name)  # below the prefix


def session_address(session_id: str) -> str:
    """Return the address of the session's page; "" without a session ID."""
    return f"{list_address('sessions')}{_quoted(session_id)}/" if session_id else ""


def session_event_address(session_id: str, entry_id: EntryId) -> str:
    """Return the address of the session's page around an event."""
    return f"{session_address(session_id)}?at={entry_id}"


def trace_address(value: str, session_id: str) -> str:
    """Return the address of the session's page with the occurrences of a value.

    It is "" without a session, and for a value that is blank or longer than _TRACED_CHARS.
    """
    is_traced = session_id and value.strip() and len(value) <= _TRACED_CHARS
    return with_query(session_address(session_id), [("trace", value)]) if is_traced else ""


def user_address(user_id: str) -> str:
    """Return the address of the user's page; "" without a user ID."""
    return f"{list_address('users')}{_quoted(user_id)}/" if user_id else ""


def error_group_address(fingerprint: str) -> str:
    """Return the address of an error group's page."""
    return f"{list_address('errors')}groups/{_quoted(fingerprint)}/"


def with_query(address: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Return the address with these parameters. Without an address the result replaces a page's own query string."""
    query = query_string(pairs)
    return f"{address}?{query}" if query or not address else address


def query_string(pairs: Iterable[tuple[str, str]]) -> str:
    """Return these parameters as a query string, percent-encoded."""
    return urlencode(tuple(pairs), errors="replace")


def filtered_address(name: str, event_filter: EventFilter) -> str:
    """Return the address of the list with this URL name and a filter."""
    query = event_filter.query_string()
    return f"{list_address(name)}?{query}" if query else list_address(name)


def user_sessions_address(user_id: str) -> str:
    """Return the address of the list of one user's sessions."""
    return with_query(list_address("sessions"), [("user", user_id)])


def compare_address(a: str, b: str, *parameters: tuple[str, str]) -> str:
    """Return the address of the comparison of two sessions."""
    return with_query(list_address("compare"), (("a", a), ("b", b), *parameters))


def event_address(stream: str, entry_id: EntryId) -> str:
    """Return the permanent address of one entry."""
    return f"{list_address('events')}{_quoted(stream)}/{entry_id}/"


def notes_address(session_id: str, stream: str = "", entry_id: EntryId | None = None) -> str:
    """Return the address of the notes on a session or an entry. It shows the notes and accepts new ones."""
    if entry_id is not None:
        return f"{event_address(stream, entry_id)}notes"
    return f"{session_address(session_id)}notes"


def page_address(request: HttpRequest) -> str:
    """Return the request's own address without its query.

    `request.path` is decoded, so a `?`, `#`, `%` or `..` in an ID would change the address. The result is therefore
    built from the IDs.
    """
    arguments = request.resolver_match.kwargs if request.resolver_match else {}
    if "session_id" in arguments:
        return session_address(arguments["session_id"])
    if "user_id" in arguments:
        return user_address(arguments["user_id"])
    if "fingerprint" in arguments:
        return error_group_address(arguments["fingerprint"])
    if "entry_id" in arguments:
        return event_address(arguments["stream"], arguments["entry_id"])
    return escape_uri_path(request.path)


def element_id(stream: str, entry_id: EntryId) -> str:
    """Return the HTML id of the entry's row in a page, for links to the row."""
    return f"e-{entry_id}@{quote(stream, safe='', errors='replace')}"


@lru_cache(maxsize=4096)
def _quoted(part: str) -> str:
    # reverse() would not encode slashes.
    return quote(OpaqueConverter().to_url(part), safe="", errors="replace")


_PLAIN: Final = ":@!$&'()*+,;="


class NameConverter:
    """A converter for the name of a stream or a consumer group, with any characters."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return unquote(value)

    def to_url(self, value: str) -> str:
        # Browsers resolve `.` and `..` in a path, so the dots of a name without other characters are encoded.
        return quote(value, safe=_PLAIN, errors="replace").replace(".", "%2E" if not value.strip(".") else ".")


def group_address(stream: str, group: str) -> str:
    """Return the address of a consumer group's page."""
    return reverse("stream-group", kwargs={"stream": stream, "group": group})


def parked_address(stream: str) -> str:
    """Return the address of the page with a stream's dead-lettered entries."""
    return reverse("stream-parked", kwargs={"stream": stream})


def sandbox_address(stream: str) -> str:
    """Return the address of a sandbox's overview; without a stream, that of the streams page."""
    if not stream:
        return reverse("streams")
    with without_prefix(), mounted_below(mounted_prefix(stream)):
        return reverse("overview")


def mounted_prefix(stream: str) -> str:
    """Return the prefix of a sandbox's pages, which web/sandbox_middleware.py parses."""
    return f"sandboxes/{NameConverter().to_url(stream)}/"


def sandbox_operation_address(kind: str, **arguments: str) -> str:
    """Return the address of the page that previews and runs an operation on a sandbox."""
    return with_query(reverse("sandbox-operation", kwargs={"kind": kind}), arguments.items())


def operation_address(kind: str, stream: str, group: str = "", **arguments: str) -> str:
    """Return the address of the page that previews and runs an operation on a stream or consumer group."""
    of = {"stream": stream, **({"group": group} if group else {}), **arguments}
    return with_query(reverse("stream-operation", kwargs={"kind": kind}), of.items())
