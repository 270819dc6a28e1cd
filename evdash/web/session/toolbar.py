"""The line above a session's list: its readings, and ways to the next error, tool call or time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict

from evdash.events.event import Event
from evdash.events.filter import PARAMETERS
from evdash.events.one_line import one_line
from evdash.web.asked import Scope, asked_filter
from evdash.web.listing import Listing
from evdash.web.paging import BadPlace
from evdash.web.rows import Reading
from evdash.web.visible import signs

READINGS: Final[tuple[tuple[Reading, str], ...]] = (
    ("conversation", "Conversation"),
    ("events", "Events"),
    ("raw", "Raw"),
)
# What addresses within the page keep; the place in the list is each address's own.
_KEPT: Final = ("view", *PARAMETERS, "pin", "vs")


@dataclass(frozen=True, slots=True)
class ReadingLink:
    """One of the readings."""

    label: str
    view: Reading
    address: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Way:
    """Onward to something; `key` is what does the same on the keyboard."""

    label: str
    title: str
    address: str
    what: str
    way: str


@dataclass(frozen=True, slots=True)
class Toolbar:
    """What templates/sessions/_toolbar.html shows."""

    readings: tuple[ReadingLink, ...]
    ways: tuple[Way, ...]
    kept: tuple[tuple[str, str], ...]  # for the form that jumps to a time
    speeds: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100)


def reading_of(params: QueryDict) -> Reading:
    """The reading that `view=` names; events by default. Raises BadPlace for another word."""
    asked = params.get("view", "events")
    for reading, _ in READINGS:
        if asked == reading:
            return reading
    raise BadPlace(f"view= is conversation, events or raw; {asked[:40]!r} is none of them.")


def kept_query(params: QueryDict) -> str:
    """The part of the query string that says how the page is looked at, not where."""
    return urlencode(_kept(params))


def query_showing(event: Event, params: QueryDict, now: datetime) -> str:
    """The query string of the page around this event of the session, looked at as before.

    A filter that does not let the event through is taken off, and stands in `taken_off=`. `now`: what relative times of
    the filter are seen from.
    """
    asked = asked_filter(params, Scope("session", event.session_id))
    kept = _kept(params)
    if asked.problem or not asked.within.matches(event, now):
        kept = [(name, value) for name, value in kept if name not in PARAMETERS] + [("taken_off", asked.text)]
    return urlencode([("at", str(event.entry_id)), *kept])


def filter_taken_off(params: QueryDict) -> str:
    """The sentence that says which filter was taken off to show what was found; "" when none was."""
    text = one_line(params.get("taken_off", ""), 200)
    return f"The filter {signs(text)} was taken off to show this event, which it leaves out." if text else ""


def toolbar(params: QueryDict, shown: Listing) -> Toolbar:
    """The toolbar of a page; its ways lead on from the selected event, else from the ends of what is listed."""
    events = shown.page.events
    first, last = (events[0].entry_id, events[-1].entry_id) if events else (None, None)
    at = params.get("at", "")

    def address(what: str, way: str) -> str:
        start = at or (str(first.previous() if way == "next" else last.next()) if first and last else "")
        asked = {"part": "find", "what": what, "way": way} | ({"from": start} if start else {})
        return f"?{urlencode([*asked.items(), *_kept(params)])}"

    return Toolbar(
        readings=tuple(
            ReadingLink(label, name, _as(params, name), name == reading_of(params)) for name, label in READINGS
        ),
        ways=(
            Way("‹ error", "Previous error (E)", address("error", "previous"), "error", "previous"),
            Way("error ›", "Next error (e)", address("error", "next"), "error", "next"),
            Way("‹ tool call", "Previous tool call (T)", address("tool", "previous"), "tool", "previous"),
            Way("tool call ›", "Next tool call (t)", address("tool", "next"), "tool", "next"),
        ),
        kept=tuple(_kept(params)),
    )


def _as(params: QueryDict, reading: Reading) -> str:
    query = params.copy()
    query.pop("view", None)
    query.pop("part", None)
    query.pop("taken_off", None)
    if reading != "events":
        query["view"] = reading
    return f"?{query.urlencode()}"


def _kept(params: QueryDict) -> list[tuple[str, str]]:
    return [(name, value) for name in _KEPT for value in params.getlist(name) if value]
