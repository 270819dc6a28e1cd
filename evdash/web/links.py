"""The addresses of pages about one thing, and back: any ID, whatever its characters, has one.

An ID is percent-encoded whole, its slashes too, and stands alone between `/sessions/` and the last slash. Browsers
resolve `.` and `..` in a path even when they are encoded, so an ID that is nothing but those gets a tilde before it,
and so does one that looks as if it had got one already.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote, urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.encoding import escape_uri_path

from evdash.events.entry import EntryId, InvalidEntryId
from evdash.web.url_prefix import mounted_below, without_prefix

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


_PLAIN: Final = ":@!$&'()*+,;="


class NameConverter:
    """The name of a stream or a group, whatever its characters."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return unquote(value)

    def to_url(self, value: str) -> str:
        # Browsers resolve `.` and `..` in a path.
        return quote(value, safe=_PLAIN, errors="replace").replace(".", "%2E" if not value.strip(".") else ".")


def group_address(stream: str, group: str) -> str:
    """The page of a group."""
    return reverse("stream-group", kwargs={"stream": stream, "group": group})


def parked_address(stream: str) -> str:
    """The page of what is parked beside a stream."""
    return reverse("stream-parked", kwargs={"stream": stream})


def sandbox_address(stream: str) -> str:
    """The page of a sandbox."""
    if not stream:
        return reverse("streams")
    with without_prefix(), mounted_below(mounted_prefix(stream)):
        return reverse("overview")


def mounted_prefix(stream: str) -> str:
    """Below what the pages of a sandbox lie, as web/mount.py takes it apart."""
    return f"sandboxes/{NameConverter().to_url(stream)}/"


def sandbox_operation_address(kind: str, **arguments: str) -> str:
    """The page where an operation on a sandbox is looked at and carried out."""
    return f"{reverse('sandbox-operation', kwargs={'kind': kind})}?{urlencode(arguments, errors='replace')}"


def operation_address(kind: str, stream: str, group: str = "", **arguments: str) -> str:
    """The page where an operation is looked at and carried out."""
    of = {"stream": stream, **({"group": group} if group else {}), **arguments}
    return f"{reverse('stream-operation', kwargs={'kind': kind})}?{urlencode(of, errors='replace')}"


def entries_query(name: str, entry_ids: Iterable[EntryId]) -> str:
    """Entry IDs as a part of a query."""
    return urlencode([(name, str(entry_id)) for entry_id in entry_ids])
