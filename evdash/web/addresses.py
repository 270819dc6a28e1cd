"""The addresses of pages about one thing, and back: any ID, whatever its characters, has one.

An ID is percent-encoded whole, its slashes too, and stands alone between `/sessions/` and the last slash. Browsers
resolve `.` and `..` in a path even when they are encoded, so an ID that is nothing but those gets a tilde before it,
and so does one that looks as if it had got one already.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.encoding import escape_uri_path

from evdash.events.entry_id import EntryId, InvalidEntryId

_DOTS: Final = re.compile(r"~*\.\.?")


class OpaqueConverter:
    """A path part that may be anything, slashes and line breaks included."""

    regex = r"(?s:.+)"

    def to_python(self, value: str) -> str:
        return value[1:] if _DOTS.fullmatch(value) and value.startswith("~") else value

    def to_url(self, value: str) -> str:
        return f"~{value}" if _DOTS.fullmatch(value) else value


class EntryIdConverter:
    """An entry ID, `ms-seq`."""

    regex = r"\d{1,20}-\d{1,20}"

    def to_python(self, value: str) -> EntryId:
        try:
            return EntryId.parse(value)
        except InvalidEntryId as error:  # a half past 64 bits: no such page
            raise ValueError(str(error)) from None

    def to_url(self, value: EntryId) -> str:
        return str(value)


def session_address(session_id: str) -> str:
    """The session's page, or "" for no session."""
    return f"{reverse('sessions')}{_quoted(session_id)}/" if session_id else ""


def user_address(user_id: str) -> str:
    """The user's page, or "" for no user."""
    return f"{reverse('users')}{_quoted(user_id)}/" if user_id else ""


def compare_address(a: str, b: str, **place: str) -> str:
    """The page of two sessions side by side. `place`: what else its query string says."""
    return f"{reverse('compare')}?{urlencode({'a': a, 'b': b} | place)}"


def event_address(stream: str, entry_id: EntryId) -> str:
    """The permanent address of one entry."""
    return f"{reverse('events')}{_quoted(stream)}/{entry_id}/"


def notes_address(session_id: str, stream: str = "", entry_id: EntryId | None = None) -> str:
    """Where the notes on a session, or on an entry, are by themselves, and where new ones are sent."""
    if entry_id is not None:
        return f"{event_address(stream, entry_id)}notes"
    return f"{session_address(session_id)}notes"


def page_address(request: HttpRequest) -> str:
    """The request's own address without its query. Not `request.path`, which is decoded: what an ID holds of `?`, `#`,
    `%` or `..` would lead elsewhere."""
    given = request.resolver_match.kwargs if request.resolver_match else {}
    if "session_id" in given:
        return session_address(given["session_id"])
    if "user_id" in given:
        return user_address(given["user_id"])
    if "entry_id" in given:
        return event_address(given["stream"], given["entry_id"])
    return escape_uri_path(request.path)


def element_id(stream: str, entry_id: EntryId) -> str:
    """The id of the entry's row in a page, for links to it."""
    return f"e-{entry_id}@{quote(stream, safe='', errors='replace')}"


def _quoted(part: str) -> str:
    # reverse() would leave slashes as they are.
    return quote(OpaqueConverter().to_url(part), safe="", errors="replace")
