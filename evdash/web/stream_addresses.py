"""The addresses of streams, groups and what is done to them.

Two names stand in one address, so neither may hold a slash: what a name has beside letters, digits and a few signs is
percent-encoded before the address is made of it, and so twice in what a browser sends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote, urlencode

from django.urls import reverse

from evdash.events.entry_id import EntryId
from evdash.web.mounting import mounted_below, outside

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
    with outside(), mounted_below(mounted_prefix(stream)):
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
